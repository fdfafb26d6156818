/** A tunnel through a SOCKS proxy, version 5 (RFC 1928), with a user name and a password where it asks (RFC 1929). */

import { once } from 'node:events';
import { connect, isIPv4, isIPv6, type Socket } from 'node:net';
import { hostOf, portOf } from './url';

const VERSION = 5;
const DEFAULT_PORT = 1080;

enum Method {
  None = 0,
  Password = 2,
}

/** What a proxy answers instead of a tunnel (RFC 1928 section 6). */
const REPLIES = [
  'it failed',
  'its rules do not allow it',
  'the network cannot be reached',
  'the host cannot be reached',
  'the connection was refused',
  'the time to live has expired',
  'it does not know the command',
  'it does not know the kind of address',
];

/**
 * Asks the proxy for a way to the URL's host, whose name the proxy resolves. Gives the connection to it, for whoever gives
 * up waiting.
 */
export function openSocksTunnel(
  proxy: URL,
  url: URL,
  done: (error: Error | null, socket?: Socket) => void,
): Socket {
  const socket = connect(proxy.port === '' ? DEFAULT_PORT : Number(proxy.port), hostOf(proxy));
  negotiate(socket, proxy, url).then(
    () => done(null, socket),
    (error: Error) => {
      socket.destroy();
      done(
        new Error(
          `the proxy ${proxy.host} opened no tunnel to ${url.hostname}:${portOf(url)}: ${error.message}`,
        ),
      );
    },
  );
  return socket;
}

async function negotiate(socket: Socket, proxy: URL, url: URL): Promise<void> {
  const hasCredentials = proxy.username !== '' || proxy.password !== '';
  const methods = hasCredentials ? [Method.None, Method.Password] : [Method.None];
  socket.write(Uint8Array.of(VERSION, methods.length, ...methods));
  const [version, method] = await take(socket, 2);
  if (version !== VERSION) throw new Error('it does not speak SOCKS 5');
  if (method === Method.Password && hasCredentials) await authenticate(socket, proxy);
  else if (method !== Method.None) throw new Error('it wants another kind of authentication');
  const port = portOf(url);
  const connectCommand = 1;
  socket.write(Uint8Array.of(VERSION, connectCommand, 0, ...addressOf(hostOf(url)), port >> 8, port & 255));
  const [, reply = 0, , kind] = await take(socket, 4);
  if (reply !== 0) throw new Error(REPLIES[reply - 1] ?? `its reply is ${reply}`);
  const length = kind === 1 ? 4 : kind === 4 ? 16 : ((await take(socket, 1))[0] as number);
  await take(socket, length + 2);
}

async function authenticate(socket: Socket, { username, password }: URL): Promise<void> {
  const [user, secret] = [named(username), named(password)];
  socket.write(Buffer.concat([Uint8Array.of(1), user, secret]));
  const [, status] = await take(socket, 2);
  if (status !== 0) throw new Error('it does not accept the user name and the password');
}

/** A part of the URL with its length in front. */
function named(part: string): Buffer {
  const bytes = Buffer.from(decodeURIComponent(part));
  if (bytes.length > 255) throw new Error('a user name or password has more than 255 bytes');
  return Buffer.concat([Uint8Array.of(bytes.length), bytes]);
}

/** The kind of address, and the address (RFC 1928 section 5). */
function addressOf(host: string): Uint8Array {
  if (isIPv4(host)) return Uint8Array.of(1, ...host.split('.').map(Number));
  if (isIPv6(host)) return Uint8Array.of(4, ...bytesOfIPv6(host));
  const name = Buffer.from(host);
  if (name.length > 255) throw new Error('the name of the host has more than 255 bytes');
  return Uint8Array.of(3, name.length, ...name);
}

/** The address as URLs write it: groups of four digits, and `::` in the place of groups of zeros. */
function bytesOfIPv6(address: string): number[] {
  const [front = [], back = []] = address
    .split('::')
    .map((half) => half.split(':').filter((group) => group !== ''));
  const zeros = Array(8 - front.length - back.length).fill('0');
  return [...front, ...zeros, ...back].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 255];
  });
}

/** So many bytes, once they are there; what follows them stays in the socket. */
async function take(socket: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const bytes: Buffer | null = socket.read(count);
    if (bytes !== null && bytes.length === count) return bytes;
    if (bytes !== null || socket.readableEnded || socket.destroyed) {
      throw new Error('it ended the connection');
    }
    const waiting = new AbortController();
    const { signal } = waiting;
    try {
      await Promise.race([once(socket, 'readable', { signal }), once(socket, 'close', { signal })]);
    } finally {
      waiting.abort();
    }
  }
}
