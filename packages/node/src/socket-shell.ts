/**
 * What is left of a net.Socket when the native core has its descriptor.
 *
 * Node's socket and its handle weigh some kilobytes, which an idle connection need not carry. So the handle is closed and
 * the object left to whoever else holds it: it still tells its addresses, whoever listens to it hears of the end, and to
 * destroy it ends the connection. Its server goes on counting the connection, so that `server.close()` waits for it.
 */

import { Socket } from 'node:net';

/** What Node keeps in a socket, and in the server that accepted it. */
interface Inner {
  _handle: { close(): void } | null;
  _server?: CountingServer | null;
  _getsockname(): object;
}

interface CountingServer {
  _connections: number;
  _emitCloseIfDrained(): void;
}

/** Listeners that are Node's own. */
const OWN_LISTENERS: Record<string, number> = { end: 1 };

/** Whether nobody would miss the handle. */
export function canLetGo(socket: Socket): boolean {
  const inner = socket as unknown as Inner;
  const server = inner._server ?? undefined;
  const isCountable =
    server === undefined ||
    (typeof server._connections === 'number' && typeof server._emitCloseIfDrained === 'function');
  const isHeard = socket
    .eventNames()
    .some((event) => socket.listenerCount(event) > (OWN_LISTENERS[String(event)] ?? 0));
  const isBusy = socket.destroyed || socket.readableLength > 0 || socket.writableLength > 0;
  return socket.constructor === Socket && inner._handle !== null && isCountable && !isHeard && !isBusy;
}

export class SocketShell {
  readonly #server: CountingServer | undefined;
  /**
   * There once somebody listens, who is to be told of the end. A WeakRef in the meantime would keep every socket alive
   * until the next full collection.
   */
  #listened: Socket | undefined;

  /** Closes the handle. `destroyed` is called when somebody destroys what is left. */
  constructor(socket: Socket, destroyed: () => void) {
    const inner = socket as unknown as Inner;
    // Node remembers the other side's address once it was asked for, but not this side's.
    void socket.remoteAddress;
    const local = inner._getsockname();
    inner._getsockname = () => local;
    inner._handle?.close();
    inner._handle = null;
    this.#server = inner._server ?? undefined;
    inner._server = null;
    socket.on('error', () => {});
    socket.on('close', destroyed);
    socket.on('newListener', () => {
      this.#listened = socket;
    });
  }

  /** The connection has ended. */
  end(): void {
    this.#listened?.destroy();
    if (this.#server === undefined) return;
    this.#server._connections--;
    this.#server._emitCloseIfDrained();
  }
}
