// Where the link of an invitation leads: to join as who one is already, by a sign-in provider, or as somebody new.

import { Alert, Button, Divider, Paper, Stack, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { berth, isLoggedOut, wordsOf } from "./data/berth.ts";
import { goToOrg } from "./data/orgs.ts";
import css from "./login.module.css";
import { listProviders, ProviderButtons } from "./login-providers.tsx";
import { Logo } from "./logo.tsx";
import { Loading } from "./parts/empty.tsx";
import { useTitle } from "./parts/page.tsx";

/** After the #: no server on the way has seen it. */
function readSecret(): string {
  return window.location.hash.slice(1);
}

function useSecret(): string {
  const [secret, setSecret] = useState(readSecret);
  useEffect(() => {
    const look = () => setSecret(readSecret());
    window.addEventListener("hashchange", look);
    return () => window.removeEventListener("hashchange", look);
  }, []);
  return secret;
}

export function InvitationPage() {
  useTitle("Invitation");
  const secret = useSecret();
  const system = useQuery({ queryKey: ["invited"], queryFn: () => berth.system.get() });
  const providers = useQuery({ queryKey: ["login", null], queryFn: () => listProviders(null) });
  const me = system.data?.user ?? null;
  const [isNew, setNew] = useState(false);
  return (
    <main className={css.page}>
      <div className={css.brand}>
        <Logo size={36} />
        <h1>You are invited to Berth</h1>
      </div>
      <Paper className={css.card}>
        {!secret ? (
          <Alert color="yellow" title="This link is not whole">
            The part after the # is missing. Copy the whole link, or ask for another.
          </Alert>
        ) : system.isPending || providers.isPending ? (
          <Loading rows={2} />
        ) : system.error && !isLoggedOut(system.error) ? (
          <Alert color="red">{wordsOf(system.error)}</Alert>
        ) : me && !isNew ? (
          <Join secret={secret} name={me.name} other={() => setNew(true)} />
        ) : providers.data && providers.data.length > 0 ? (
          <ByProvider secret={secret} providers={providers.data} />
        ) : (
          <Register secret={secret} />
        )}
      </Paper>
    </main>
  );
}

interface JoinProps {
  readonly secret: string;
  readonly name: string;
  readonly other: () => void;
}

function Join({ secret, name, other }: JoinProps) {
  const [isSending, setSending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [stays, setStays] = useState<{ readonly org: string; readonly why: string } | null>(null);
  const join = async () => {
    setSending(true);
    setError(null);
    try {
      const { org } = await berth.invitations.accept({ secret });
      const why = await goToOrg(org.id).then(() => null, wordsOf);
      if (why === null) window.location.assign("/");
      else setStays({ org: org.name, why });
    } catch (failure) {
      setError(failure);
    } finally {
      setSending(false);
    }
  };
  if (stays)
    return (
      <Alert color="tide" title={`You belong to ${stays.org} now`}>
        {stays.why}
        <Button mt="md" component="a" href="/" variant="default" fullWidth>
          To the boxes
        </Button>
      </Alert>
    );
  return (
    <Stack gap="sm">
      <div>
        You are logged in as <b>{name}</b>.
      </div>
      {error ? <Problem error={error} /> : null}
      <Button size="sm" fullWidth loading={isSending} onClick={() => void join()}>
        Join as {name}
      </Button>
      <Button size="sm" fullWidth variant="subtle" color="gray" onClick={other}>
        Join as somebody else
      </Button>
    </Stack>
  );
}

function ByProvider(props: {
  readonly secret: string;
  readonly providers: Awaited<ReturnType<typeof listProviders>>;
}) {
  return (
    <Stack gap="xs">
      <div className={css.words}>Sign in, and you are in.</div>
      <ProviderButtons all={props.providers} query={{ invitation: props.secret, next: "/" }} />
      <Divider label="or, without an account there" my={4} />
      <Register secret={props.secret} isSecond />
    </Stack>
  );
}

function Register(props: { readonly secret: string; readonly isSecond?: boolean }) {
  const [name, setName] = useState("");
  const [isSending, setSending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const register = async () => {
    setSending(true);
    setError(null);
    try {
      const { secret } = props;
      const { token } = await berth.invitations.register({ secret, name: name.trim() });
      await berth.webSessions.create({ token });
      // A new page: nothing of another person's is left in memory.
      window.location.assign("/boxes");
    } catch (failure) {
      setError(failure);
      setSending(false);
    }
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void register();
      }}
    >
      <TextInput
        label="Your name"
        description="As your colleagues will see it."
        placeholder="Ada"
        maxLength={80}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        autoComplete="name"
        autoFocus={!props.isSecond}
      />
      {error ? <Problem error={error} /> : null}
      <Button
        type="submit"
        mt="md"
        size="sm"
        fullWidth
        variant={props.isSecond ? "default" : "filled"}
        loading={isSending}
        disabled={!name.trim()}
      >
        Join
      </Button>
    </form>
  );
}

function Problem({ error }: { readonly error: unknown }) {
  return (
    <Alert color="red" mt="sm" role="alert" style={{ whiteSpace: "pre-line" }}>
      {wordsOf(error)}
      {"\n"}If it was used already, ask for another.
    </Alert>
  );
}
