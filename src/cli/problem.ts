// Why something failed, in one message and a next step, with the exit code that fits.

import { ApiError } from "#sdk/api-error.ts";
import { CliError, EXIT, type ExitCode } from "./exit.ts";

interface ProblemText {
  readonly message: string;
  readonly next: string | null;
  readonly exitCode: ExitCode;
}

export function problemText(error: unknown): ProblemText {
  if (error instanceof CliError)
    return { message: error.message, next: error.next, exitCode: error.exitCode };
  if (error instanceof ApiError) return apiProblemText(error);
  if (error instanceof Error && (error.name === "ConfigError" || error.name === "UserError"))
    return { message: error.message, next: null, exitCode: EXIT.failed };
  return {
    message: `a fault in Berth's own code: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    next: "\nPlease report it with what you did.",
    exitCode: EXIT.failed,
  };
}

function apiProblemText(problem: ApiError): ProblemText {
  const fields = problem.fields.map((one) => `${one.path} ${one.message}`).join("; ");
  const isNotAllowed = problem.status === 401 || problem.status === 403;
  return {
    message: sentence(problem.detail) + (fields ? ` ${sentence(fields)}` : ""),
    next: nextOf(problem),
    exitCode: isNotAllowed ? EXIT.notAllowed : EXIT.failed,
  };
}

function nextOf(problem: ApiError): string | null {
  if (problem.code === "unreachable")
    return "`berth up` starts it. Running boxes are not affected.";
  return problem.status >= 500 && problem.requestId
    ? `It is request ${problem.requestId} in the server's log.`
    : null;
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
