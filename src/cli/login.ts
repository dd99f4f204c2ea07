// Logging in by an identity provider: this machine shows a code, any browser confirms it, and the session is kept where
// other commands find it. The provider's own secrets never come here.

import type { Command } from "commander";
import { errorOfResponse, unreachable } from "#sdk/api-error.ts";
import {
  findCredentials,
  ownCredentialsPath,
  removeOwnCredentials,
  writeOwnCredentials,
} from "./credentials.ts";
import { CliError, EXIT } from "./exit.ts";
import { type OutputOptions, withExamples, withOutput } from "./options.ts";
import type { Session } from "./session.ts";
import { paint, plain, type Terminal } from "./terminal.ts";

const DEFAULT_URL = "http://127.0.0.1:7300";
/** What a provider that asks to be polled less often adds: RFC 8628, 3.5. */
const SLOW_DOWN_S = 5;

interface LoginOptions extends OutputOptions {
  readonly url?: string;
  readonly provider?: string;
  readonly org?: string;
  readonly invitation?: string;
}

interface Started {
  readonly handle: string;
  readonly userCode: string;
  readonly verificationUri: string;
  readonly verificationUriComplete: string | null;
  readonly expiresInS: number;
  readonly intervalS: number;
  readonly providerLabel: string;
}

interface Done {
  readonly status: "done";
  readonly token: string;
  readonly expiresAt: string;
  readonly user: { readonly id: string; readonly name: string };
  readonly org: { readonly id: string; readonly name: string };
}

export function addLoginCommands(program: Command, session: Session): void {
  const { terminal } = session;
  const login = program
    .command("login")
    .summary("log in by your identity provider, in any browser")
    .option("--url <url>", "address of Berth (default: the one you used last, or this machine)")
    .option("--provider <provider>", "which identity provider, when there are several")
    .option("--org <organization>", "where to log in to")
    .option("--invitation <secret>", "an invitation to take with the login")
    .action(async (options: LoginOptions) => {
      const url = await addressOf(terminal, options);
      const done = await logIn(terminal, url, options);
      await writeOwnCredentials(terminal.env, { url, token: done.token });
      const { token: _secret, status: _status, ...shown } = done;
      session.print(
        options,
        { ...shown, url },
        () => `Logged in to ${plain(done.org.name)} as ${plain(done.user.name)}.\n`,
      );
      warnOfOthers(terminal);
    });
  withExamples(withOutput(login), [
    "berth login",
    "berth login --url https://berth.example.com --org acme",
  ]);
  const logout = program
    .command("logout")
    .summary("log out: what this login has open ends")
    .action(async (options: OutputOptions) => {
      const client = await session.client();
      const { ended } = await client.webSessions.delete();
      if (!ended)
        throw new CliError("this machine uses a token, not a login.", {
          next: "`berth token list` shows tokens, `berth token revoke` ends one.",
        });
      await removeOwnCredentials(terminal.env);
      session.print(options, { ended }, () => "Logged out.\n");
    });
  withExamples(withOutput(logout), ["berth logout"]);
  const whoami = program
    .command("whoami")
    .summary("who you are, where, and what you may do there")
    .action(async (options: OutputOptions) => {
      const client = await session.client();
      const { user } = await client.system.get();
      session.print(options, user, (who) => {
        const rights = who.isOperator ? [...who.roles, "operator"] : who.roles;
        const email = who.email ? ` <${who.email}>` : "";
        return `${plain(`${who.name}${email}`)} in ${plain(who.org.name)}: ${rights.join(", ")}\n`;
      });
    });
  withExamples(withOutput(whoami), ["berth whoami", "berth whoami -o json"]);
}

async function addressOf(terminal: Terminal, options: LoginOptions): Promise<string> {
  const known = await findCredentials(terminal.env).catch(() => null);
  const url = options.url ?? terminal.env.BERTH_URL ?? known?.url ?? DEFAULT_URL;
  if (!/^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : ""))
    throw new CliError(`'${url}' is no address of Berth.`, {
      exitCode: EXIT.usage,
      next: "Write it as https://berth.example.com.",
    });
  return new URL(url).origin;
}

async function logIn(terminal: Terminal, url: string, options: LoginOptions): Promise<Done> {
  const { provider, org, invitation } = options;
  const started = await post<Started>(`${url}/v1/login/device`, { provider, org, invitation });
  const page = started.verificationUriComplete ?? started.verificationUri;
  terminal.err(
    `To log in by ${plain(started.providerLabel)}, open\n\n  ${plain(page)}\n\n` +
      `and see that it shows the code ${paint(terminal, "bold", plain(started.userCode))}.\n`,
  );
  const { clock, interrupted } = terminal;
  const deadlineMs = clock.monotonicMs() + started.expiresInS * 1000;
  let waitS = started.intervalS;
  while (clock.monotonicMs() < deadlineMs) {
    await clock.sleep(waitS * 1000, interrupted);
    const answer = await post<Done | { status: "pending" | "slow_down" }>(
      `${url}/v1/login/device/poll`,
      { handle: started.handle },
    );
    if (answer.status === "done") return answer;
    if (answer.status === "slow_down") waitS += SLOW_DOWN_S;
  }
  throw new CliError("nobody has confirmed the code in time.", {
    exitCode: EXIT.notAllowed,
    next: "Run `berth login` again.",
  });
}

/** These have no operation in the SDK: whoever logs in has no credential yet. */
async function post<T>(url: string, body: object): Promise<T> {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  }).catch((error: unknown) => {
    throw unreachable(url, error);
  });
  if (!answer.ok) throw await errorOfResponse(answer, url);
  return (await answer.json()) as T;
}

/** What counts more than the login that was just made. */
export function warnOfOthers({ env, err }: Terminal): void {
  const stronger = ["BERTH_TOKEN", "BERTH_STATE_DIR"].filter((name) => env[name]);
  if (stronger.length > 0)
    err(`Note: ${stronger.join(" and ")} is set, and counts more: unset it to act as yourself.\n`);
  else err(`It is kept in ${ownCredentialsPath(env)}.\n`);
}
