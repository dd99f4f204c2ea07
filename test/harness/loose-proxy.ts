// A proxy that undoes defences by name: between a browser and Berth it changes what they rest on, as if the one had not
// sent it or the other did not look. With it tests see that an attack succeeds where the defence alone was in its way.

import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type Server,
} from "node:http";
import { type AddressInfo, connect } from "node:net";

export interface Loose {
  /** The session's cookie goes along from every site. */
  readonly sameSite: boolean;
  /** Every request counts as the dashboard's own page's, and as JSON. */
  readonly sender: boolean;
  /** Every host name counts as the dashboard's. */
  readonly host: boolean;
  /** The session's cookie has a name that any host of the domain may set. */
  readonly cookiePrefix: boolean;
  /** Of several cookies of that name the first counts. */
  readonly firstCookie: boolean;
  /** Whoever asks says where the browser is sent. */
  readonly redirects: boolean;
}

const HOST = "127.0.0.1";
const COOKIE = "__Host-berth";
const PLAIN = "berth-plain";

export interface LooseProxy {
  readonly port: number;
  close(): void;
}

export async function looseProxy(
  target: number,
  dashboard: string,
  loose: () => Partial<Loose>,
): Promise<LooseProxy> {
  const place = { host: HOST, port: target };
  const server: Server = createServer((request, response) => {
    const { method, url: path = "/" } = request;
    const headers = tellBerth(request.headers, dashboard, loose());
    const inner = httpRequest({ ...place, method, path, headers }, (answer) => {
      const changed = tellBrowser(answer.headers, path, loose());
      response.writeHead(answer.statusCode ?? 502, changed);
      answer.pipe(response);
    });
    inner.on("error", () => response.destroy());
    response.on("close", () => inner.destroy());
    request.pipe(inner);
  });
  server.on("upgrade", (request, socket, head) => {
    const inner = connect(place);
    const headers = tellBerth(request.headers, dashboard, loose());
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    inner.write(`GET ${request.url} HTTP/1.1\r\n${lines.join("")}\r\n`);
    inner.write(head);
    for (const one of [inner, socket])
      one
        .on("error", () => {})
        .on("close", () => {
          inner.destroy();
          socket.destroy();
        });
    inner.pipe(socket);
    socket.pipe(inner);
  });
  await new Promise<void>((done) => server.listen(0, HOST, done));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function tellBerth(headers: IncomingHttpHeaders, dashboard: string, loose: Partial<Loose>) {
  const told: OutgoingHttpHeaders = { ...headers };
  if (loose.sender) {
    told.origin = dashboard;
    told["sec-fetch-site"] = "same-origin";
    if (told["content-type"]) told["content-type"] = "application/json";
  }
  if (loose.host) told.host = new URL(dashboard).host;
  if (loose.cookiePrefix) {
    const pairs = (headers.cookie ?? "").split("; ");
    const ours = pairs.filter((pair) => pair.startsWith(`${PLAIN}=`));
    const taken = loose.firstCookie ? ours.slice(0, 1) : ours;
    told.cookie = taken.map((pair) => pair.replace(PLAIN, COOKIE)).join("; ");
  }
  return told;
}

function tellBrowser(headers: IncomingHttpHeaders, path: string, loose: Partial<Loose>) {
  const told: OutgoingHttpHeaders = { ...headers };
  told["set-cookie"] = headers["set-cookie"]?.map((cookie) => {
    const named = loose.cookiePrefix ? cookie.replace(COOKIE, PLAIN) : cookie;
    return loose.sameSite ? named.replace("SameSite=Lax", "SameSite=None") : named;
  });
  if (!told["set-cookie"]) delete told["set-cookie"];
  const wanted = new URLSearchParams(path.split("?")[1]).get("next");
  if (loose.redirects && headers.location && wanted) told.location = wanted;
  return told;
}
