/** The error of a `WebSocketStream` (WebSocketStream explainer; "The WebSocketError interface"). */

import { checkClose } from './close-code';
import { asInterface, toDictionary, toDOMString, toEnforcedUnsignedShort, toUSVString } from './webidl';

/** How a connection ends, or ended. */
export interface WebSocketCloseInfo {
  closeCode?: number;
  reason?: string;
}

/** An error that no application could make: its code need not be one for applications. */
export let connectionError: (
  message: string,
  closeCode: number | null,
  reason: string,
  cause?: Error,
) => WebSocketError;

/**
 * Why a connection ended, as code and reason. A stream that is aborted or cancelled with one sends both to the server.
 */
export class WebSocketError extends DOMException {
  static {
    connectionError = (message, closeCode, reason, cause) => {
      const error = new WebSocketError(message);
      error.#closeCode = closeCode;
      error.#reason = reason;
      if (cause !== undefined) {
        Object.defineProperty(error, 'cause', { value: cause, configurable: true, writable: true });
      }
      return error;
    };
  }

  #closeCode: number | null;
  #reason: string;

  constructor(message?: string, init?: WebSocketCloseInfo);
  constructor(message: unknown = '', init: unknown = {}) {
    const where = "construct 'WebSocketError'";
    super(toDOMString(message), 'WebSocketError');
    // Some versions of Node make a DOMException of it, whatever class extends that.
    Object.setPrototypeOf(this, new.target.prototype);
    const { closeCode, reason } = toCloseInfo(init, where);
    this.#closeCode = checkClose(where, closeCode, reason) ?? null;
    this.#reason = reason;
  }

  /** The close code; null where there is none. */
  get closeCode(): number | null {
    return this.#closeCode;
  }

  /** The reason that came or goes with the code. */
  get reason(): string {
    return this.#reason;
  }
}

asInterface(WebSocketError, 'WebSocketError', ['closeCode', 'reason']);

/** The dictionary `WebSocketCloseInfo`, converted. */
export function toCloseInfo(
  value: unknown,
  where: string,
): { closeCode: number | undefined; reason: string } {
  const { closeCode, reason } = toDictionary(value, where);
  return {
    closeCode: closeCode === undefined ? undefined : toEnforcedUnsignedShort(closeCode, where),
    reason: reason === undefined ? '' : toUSVString(reason),
  };
}
