/**
 * What of `ws`'s class `Sender` other packages use: Engine.IO makes the frame of a broadcast once and gives it to the
 * sender of each socket.
 */

import type { Connection, Done } from './connection';

const TEXT = 1;

/** Gives messages that were made by `frame` to one connection. */
export class Sender {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** A message to be given to `sendFrame`: its opcode and its payload. How it is framed is each connection's to say. */
  static frame(data: string | Uint8Array, { opcode }: { opcode: number }): [Buffer, string | Uint8Array] {
    return [Buffer.of(opcode), data];
  }

  /** Sends what `frame` gave. */
  sendFrame([opcode, data]: [Buffer, string | Uint8Array], done?: Done): void {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    if (opcode[0] === TEXT) this.#connection.sendText(typeof data === 'string' ? data : bytes, false, done);
    else this.#connection.sendBinary(bytes, false, done);
  }
}
