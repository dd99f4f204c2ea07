// The exec server refused, or gave up.

export class ExecError extends Error {
  override readonly name = "ExecError";
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
