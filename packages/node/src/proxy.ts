/**
 * A tunnel through a proxy to the host of a WebSocket, as RFC 6455 section 4.1 asks for `ws:` as well as for `wss:`. With an
 * HTTP proxy it is the method CONNECT (RFC 9110 section 9.3.6); socks.ts has the other kind.
 */

import * as http from 'node:http';
import * as https from 'node:https';
import { BlockList, isIP, type Socket } from 'node:net';
import type { TlsOptions } from './options';
import { openSocksTunnel } from './socks';
import { hostOf, portOf } from './url';

/** `socks5h:` is curl's word for names that the proxy resolves, which it does here in either case. */
const SCHEMES = ['http:', 'https:', 'socks5:', 'socks5h:'];
const FOR_SECURE = ['wss_proxy', 'WSS_PROXY', 'https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'];
// A CGI program finds a request's header field `Proxy` in HTTP_PROXY; so that name is not read, as curl does it.
const FOR_PLAIN = ['ws_proxy', 'WS_PROXY', 'http_proxy', 'all_proxy', 'ALL_PROXY'];

/** The proxy that the environment names for this URL, by curl's rules; none where `no_proxy` excepts the host. */
export function proxyFromEnvironment(
  url: URL,
  environment: NodeJS.ProcessEnv = process.env,
): URL | undefined {
  const name = (url.protocol === 'wss:' ? FOR_SECURE : FOR_PLAIN).find(
    (name) => environment[name] !== undefined,
  );
  const value = name === undefined ? undefined : environment[name]?.trim();
  if (!value || isExempt(hostOf(url), environment.no_proxy ?? environment.NO_PROXY ?? '')) return undefined;
  return parseProxy(value, `the environment variable ${name}`);
}

/** Reads the URL of a proxy; without a scheme it is `http:`. The error does not repeat it: it may hold a password. */
export function parseProxy(value: string | URL, origin = "the option 'proxy'"): URL {
  const text = String(value);
  const full = text.includes('://') ? text : `http://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (url === undefined || !SCHEMES.includes(url.protocol) || url.hostname === '') {
    throw new TypeError(`${origin} is no URL of a proxy; write http://host:port, https: or socks5:`);
  }
  return url;
}

function isExempt(host: string, exceptions: string): boolean {
  return exceptions
    .split(/[\s,]+/)
    .filter((exception) => exception !== '')
    .some(
      (exception) =>
        exception === '*' || (isIP(host) === 0 ? isBelow(host, exception) : isWithin(host, exception)),
    );
}

/** `example.com` and `.example.com` stand for that name and every name below it. */
function isBelow(host: string, exception: string): boolean {
  const name = exception.replace(/^\.+|\.+$/g, '').toLowerCase();
  return name !== '' && `.${host.replace(/\.+$/, '').toLowerCase()}`.endsWith(`.${name}`);
}

/** An address, with or without brackets, or a block of them as in `10.0.0.0/8`. */
function isWithin(address: string, exception: string): boolean {
  const [base = '', bits] = exception.replace(/[[\]]/g, '').split('/');
  const family = isIP(base) === 6 ? 'ipv6' : 'ipv4';
  const width = family === 'ipv6' ? 128 : 32;
  const prefix = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  if (isIP(base) === 0 || isIP(base) !== isIP(address) || !(prefix <= width)) return false;
  const block = new BlockList();
  block.addSubnet(base, prefix, family);
  return block.check(address, family);
}

/** What a tunnel is asked for with. */
export type Tunnel = http.ClientRequest | Socket;

/** Asks the proxy for a way to the URL's host. Gives what it asks with, for whoever gives up waiting. */
export function openTunnel(
  proxy: URL,
  url: URL,
  tls: TlsOptions,
  done: (error: Error | null, socket?: Socket) => void,
): Tunnel {
  if (proxy.protocol.startsWith('socks')) return openSocksTunnel(proxy, url, done);
  const authority = `${url.hostname}:${portOf(url)}`;
  const isSecure = proxy.protocol === 'https:';
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  const request = (isSecure ? https : http).request({
    ...(isSecure ? tls : {}),
    method: 'CONNECT',
    host: hostOf(proxy),
    port: proxy.port === '' ? (isSecure ? 443 : 80) : Number(proxy.port),
    path: authority,
    agent: false,
    headers: {
      Host: authority,
      ...(credentials === ':'
        ? {}
        : { 'Proxy-Authorization': `Basic ${Buffer.from(credentials).toString('base64')}` }),
    },
  });
  const refused = (why: string) =>
    new Error(`the proxy ${proxy.host} opened no tunnel to ${authority}: ${why}`);
  request.once('connect', (response, socket, head) => {
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) {
      socket.destroy();
      done(refused(`it answered ${status} ${response.statusMessage}`));
      return;
    }
    if (head.length > 0) socket.unshift(head);
    done(null, socket);
  });
  request.once('response', (response) => {
    request.destroy();
    done(refused(`it answered ${response.statusCode} ${response.statusMessage}`));
  });
  request.once('error', (error) => done(refused(error.message)));
  request.end();
  return request;
}
