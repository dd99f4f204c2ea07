// Logging in, with a token for now. The server answers with a cookie that no script can read; the token is not kept.

import { Button, Paper, PasswordInput } from "@mantine/core";
import { useState } from "react";
import { berth, wordsOf } from "./data/berth.ts";
import css from "./login.module.css";
import { Logo } from "./logo.tsx";
import { safeNext } from "./next.ts";
import { useTitle } from "./parts/page.tsx";

export function LoginPage() {
  useTitle("Log in");
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
          autoFocus
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
