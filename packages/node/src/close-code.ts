/** The code and reason that an application may end a connection with (WebSockets Standard, "validate close code and reason"). */

/** The longest reason in bytes: what a control frame holds beside the code (RFC 6455 section 5.5). */
const MAX_REASON_BYTES = 123;

/**
 * The code to be sent: none where neither code nor reason is given, and 1000 for a reason alone, which cannot travel
 * without one. Throws the standard's DOMExceptions; `where` is the start of their messages.
 */
export function checkClose(where: string, code: number | undefined, reason: string): number | undefined {
  if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999)) {
    throw new DOMException(
      `Failed to ${where}: the code ${code} is not for applications; use 1000, or one from 3000 to 4999.`,
      'InvalidAccessError',
    );
  }
  const bytes = Buffer.byteLength(reason);
  if (bytes > MAX_REASON_BYTES) {
    throw new DOMException(
      `Failed to ${where}: the reason has ${bytes} bytes in UTF-8; at most ${MAX_REASON_BYTES} fit.`,
      'SyntaxError',
    );
  }
  return code ?? (bytes > 0 ? 1000 : undefined);
}
