// Signing in by an identity provider: which there are, and the way to each.

import { Button, Stack } from "@mantine/core";

export interface LoginProvider {
  readonly id: string;
  readonly label: string;
}

/** Of the installation, and of the organization that is named. */
export async function listProviders(org: string | null): Promise<readonly LoginProvider[]> {
  const query = org ? `?${new URLSearchParams({ org })}` : "";
  const answer = await fetch(`/v1/login/providers${query}`);
  // Whoever has a token gets in without them.
  return answer.ok ? ((await answer.json()) as { items: LoginProvider[] }).items : [];
}

export function ProviderButtons(props: {
  readonly all: readonly LoginProvider[];
  /** What goes on with the login. */
  readonly query: Readonly<Record<string, string>>;
}) {
  return (
    <Stack gap="xs">
      {props.all.map(({ id, label }) => (
        <Button
          key={id}
          component="a"
          href={`/v1/login/${encodeURIComponent(id)}?${new URLSearchParams(props.query)}`}
          variant="default"
          size="sm"
          fullWidth
        >
          Log in with {label}
        </Button>
      ))}
    </Stack>
  );
}
