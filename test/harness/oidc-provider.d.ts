// oidc-provider ships without types; the tests use this much of it.

declare module "oidc-provider" {
  export class Provider {
    constructor(issuer: string, configuration: object);
    callback(): (request: never, response: never) => void;
  }
}
