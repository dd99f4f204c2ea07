// Logging in: by an identity provider when there is one, or with a token. The server answers with a cookie that no script
// can read; the token is not kept.

import { Button, Divider, Paper, PasswordInput, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { berth, wordsOf } from "./data/berth.ts";
import css from "./login.module.css";
import { listProviders, ProviderButtons } from "./login-providers.tsx";
import { Logo } from "./logo.tsx";
import { safeNext } from "./next.ts";
import { useTitle } from "./parts/page.tsx";

/** What the page was asked for goes on with the login. */
function onward(): Readonly<Record<string, string>> {
  const given = new URLSearchParams(window.location.search);
  const { pathname, search, hash } = new URL(safeNext(window.location));
  const query: Record<string, string> = { next: `${pathname}${search}${hash}` };
  for (const name of ["org", "invitation"]) {
    const value = given.get(name);
    if (value) query[name] = value;
  }
  return query;
}

/** Organizations that have a provider of their own are asked for by name: nobody lists them. */
function OtherOrganization() {
  const [org, setOrg] = useState("");
  return (
    <form
      className={css.other}
      onSubmit={(event) => {
        event.preventDefault();
        const query = new URLSearchParams(window.location.search);
        query.set("org", org.trim());
        window.location.search = String(query);
      }}
    >
      <TextInput
        aria-label="Organization"
        placeholder="Your organization's own sign-in"
        size="xs"
        value={org}
        onChange={(event) => setOrg(event.currentTarget.value)}
        rightSectionWidth={44}
        rightSection={
          <Button type="submit" variant="subtle" size="compact-xs" disabled={!org.trim()}>
            Go
          </Button>
        }
      />
    </form>
  );
}

export function LoginPage() {
  useTitle("Log in");
  const org = new URLSearchParams(window.location.search).get("org");
  const providers = useQuery({ queryKey: ["login", org], queryFn: () => listProviders(org) });
  const all = providers.data ?? [];
  const [token, setToken] = useState("");
  const [isSending, setSending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const logIn = async () => {
    setSending(true);
    setError(null);
    try {
      await berth.webSessions.create({ token: token.trim() });
      // A new page: nothing of another person's is left in memory, and the way on may be the server's.
      window.location.assign(safeNext(window.location));
    } catch (failure) {
      setError(failure);
      setSending(false);
    }
  };
  return (
    <main className={css.page}>
      <div className={css.brand}>
        <Logo size={36} />
        <h1>Log in to Berth</h1>
      </div>
      {all.length > 0 && (
        <Paper className={css.card}>
          <ProviderButtons all={all} query={onward()} />
          <Divider label="or" my="sm" />
          <OtherOrganization />
        </Paper>
      )}
      <Paper
        className={css.card}
        component="form"
        onSubmit={(event) => {
          event.preventDefault();
          void logIn();
        }}
      >
        <PasswordInput
          label="Access token"
          placeholder="berth_…"
          value={token}
          onChange={(event) => setToken(event.currentTarget.value)}
          autoComplete="current-password"
          autoFocus={all.length === 0}
          error={error ? wordsOf(error) : null}
        />
        <Button
          type="submit"
          fullWidth
          mt="md"
          size="sm"
          loading={isSending}
          disabled={!token.trim()}
        >
          Log in
        </Button>
      </Paper>
      <p className={css.hint}>
        <code>./berth up</code> keeps the first token in <code>credentials.json</code> in its state
        directory; <code>berth token create</code> makes more.
      </p>
    </main>
  );
}
