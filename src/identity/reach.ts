// The way to a provider's endpoints: with a time limit, no redirects, answers of bounded size, and for an organization's own
// provider to public addresses only, looked up once and dialled as looked up.

import { lookup } from "node:dns";
import { isIP } from "node:net";
import { Agent, fetch as dispatchedFetch } from "undici";
import { isLoopbackHost, isPublicAddress } from "./addresses.ts";

/** The provider cannot be asked now; the person can try again. */
export class ProviderDown extends Error {
  override readonly name = "ProviderDown";
}

export type Reach = (url: string, options: object) => Promise<Response>;

const MAX_ANSWER_BYTES = 1024 * 1024;

const anywhere = new Agent({ maxResponseSize: MAX_ANSWER_BYTES });
const publicOnly = new Agent({
  maxResponseSize: MAX_ANSWER_BYTES,
  connect: {
    lookup: (hostname, options, done) => {
      lookup(hostname, { ...options, all: true }, (error, found) => {
        const isRefused = !error && !found.every((one) => isPublicAddress(one.address));
        if (error) done(error, []);
        else if (isRefused) done(new Error(`${hostname} is not a public address`), []);
        else if (options.all) done(null, found);
        else done(null, found[0]?.address ?? "", found[0]?.family);
      });
    },
  },
});

/** `isTrusted`: an operator answers for the provider. */
export function reachOf(isTrusted: boolean): Reach {
  return async (url, options) => {
    refuseAddress(new URL(url), isTrusted);
    const answer = await dispatchedFetch(url, {
      ...options,
      redirect: "manual",
      dispatcher: isTrusted ? anywhere : publicOnly,
    }).catch((error: Error) => {
      throw new ProviderDown(reasonOf(error), { cause: error });
    });
    if (answer.status >= 500) throw new ProviderDown(`it answered ${answer.status}`);
    // Of another class than the global one, and the same in every way that is used.
    return answer as unknown as Response;
  };
}

function refuseAddress(url: URL, isTrusted: boolean): void {
  if (url.protocol !== "https:" && !(isTrusted && isLoopbackHost(url.hostname)))
    throw new ProviderDown(`${url.origin} is not https`);
  const address = url.hostname.replace(/^\[|\]$/g, "");
  if (!isTrusted && (isIP(address) !== 0 ? !isPublicAddress(address) : isLoopbackHost(address)))
    throw new ProviderDown(`${url.origin} is not a public address`);
}

function reasonOf(error: Error): string {
  const cause = error.cause as (Error & { code?: string }) | undefined;
  return cause?.code ?? cause?.message ?? error.message;
}
