/** The errors of a connection: with a stable `code`, a sentence, and for people what to try next. */

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';

/** An opening handshake that failed by the server's answer or on our side. What the network does is Node's error. */
export class OpeningError extends Error {
  readonly #response: IncomingMessage | undefined;

  /** `response` is the answer where it is one of HTTP that refuses the connection. */
  constructor(
    readonly code: `WS_ERR_${string}`,
    message: string,
    response?: IncomingMessage,
  ) {
    super(message);
    this.#response = response;
  }

  /** The status of the answer that refused the connection. */
  get status(): number | undefined {
    return this.#response?.statusCode;
  }

  /** The fields of that answer. They may hold secrets, so that printing the error does not show them. */
  get headers(): IncomingHttpHeaders {
    return this.#response?.headers ?? {};
  }
}

type Row = [new (message: string) => Error, `WS_ERR_${string}`, string];

/** What npm `ws` makes of a broken rule: class, code and sentence, by the name of the violation. */
const VIOLATIONS: Record<string, Row> = {
  UnmaskedFrame: [RangeError, 'WS_ERR_EXPECTED_MASK', 'Invalid WebSocket frame: MASK must be set'],
  MaskedFrame: [RangeError, 'WS_ERR_UNEXPECTED_MASK', 'Invalid WebSocket frame: MASK must be clear'],
  ReservedBits: [
    RangeError,
    'WS_ERR_UNEXPECTED_RSV_2_3',
    'Invalid WebSocket frame: RSV2 and RSV3 must be clear',
  ],
  MisplacedCompressionBit: [
    RangeError,
    'WS_ERR_UNEXPECTED_RSV_1',
    'Invalid WebSocket frame: RSV1 must be clear',
  ],
  ReservedOpcode: [RangeError, 'WS_ERR_INVALID_OPCODE', 'Invalid WebSocket frame: invalid opcode'],
  FragmentedControl: [RangeError, 'WS_ERR_EXPECTED_FIN', 'Invalid WebSocket frame: FIN must be set'],
  OversizedControl: [
    RangeError,
    'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH',
    'Invalid WebSocket frame: invalid payload length',
  ],
  UnexpectedContinuation: [RangeError, 'WS_ERR_INVALID_OPCODE', 'Invalid WebSocket frame: invalid opcode 0'],
  UnfinishedMessage: [RangeError, 'WS_ERR_INVALID_OPCODE', 'Invalid WebSocket frame: invalid opcode'],
  NonMinimalLength: [
    RangeError,
    'WS_ERR_INVALID_PAYLOAD_LENGTH',
    'Invalid WebSocket frame: the payload length is not in its shortest form',
  ],
  LengthOutOfRange: [
    RangeError,
    'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH',
    'Unsupported WebSocket frame: payload length > 2^53 - 1',
  ],
  TruncatedCloseCode: [
    RangeError,
    'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH',
    'Invalid WebSocket frame: invalid payload length 1',
  ],
  InvalidCloseCode: [RangeError, 'WS_ERR_INVALID_CLOSE_CODE', 'Invalid WebSocket frame: invalid status code'],
  InvalidCloseReason: [Error, 'WS_ERR_INVALID_UTF8', 'Invalid WebSocket frame: invalid UTF-8 sequence'],
  InvalidUtf8: [Error, 'WS_ERR_INVALID_UTF8', 'Invalid WebSocket frame: invalid UTF-8 sequence'],
  InvalidDeflate: [Error, 'WS_ERR_INVALID_DEFLATE', 'Invalid WebSocket frame: the message does not inflate'],
  MessageTooLarge: [RangeError, 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', 'Max payload size exceeded'],
  TooManyFragments: [RangeError, 'WS_ERR_TOO_MANY_BUFFERED_PARTS', 'Too many message fragments'],
  FrameFlood: [RangeError, 'WS_ERR_TOO_MANY_BUFFERED_PARTS', 'Too many frames that bring no message further'],
};

/** The error for a rule that the peer broke. */
export function violationError(closeCode: number, name: string, text: string): Error {
  const [Class, code, message]: Row = VIOLATIONS[name] ?? [Error, 'WS_ERR_VIOLATION', text];
  return Object.assign(new Class(message), { code, closeCode, rule: text });
}

/** What to try, by the code of the error or the start of it. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/^ECONNREFUSED/, 'is a server listening on that port?'],
  [/^ENOTFOUND|^EAI_AGAIN/, 'check the name of the host'],
  [
    /^ETIMEDOUT|^EHOSTUNREACH|^ENETUNREACH|^WS_ERR_HANDSHAKE_TIMEOUT/,
    'check the address, the network and the firewall',
  ],
  [
    /^ECONNRESET/,
    'the other side closed the connection; is it a WebSocket server, and does it want wss: here?',
  ],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID/,
    "the certificate is for another name; use that, or the option 'servername'",
  ],
  [
    /SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/,
    "pass the certificate of the authority that signed it as the option 'ca'",
  ],
  [/^CERT_HAS_EXPIRED/, "the server's certificate has expired; it has to be renewed"],
  [/^EPROTO|^ERR_SSL/, 'does the server speak TLS on that port? without TLS the scheme is ws:'],
  [/^HPE_/, 'the answer is no HTTP; does a web server listen on that port, and does it want wss:?'],
  [
    /^WS_ERR_UNEXPECTED_RESPONSE/,
    'the server speaks HTTP and accepts no WebSocket with this URL, these fields or this origin',
  ],
  [/^WS_ERR_INVALID_RESPONSE/, 'is there a proxy between that does not know WebSocket?'],
];

/** An error for people: which connection failed, why, and what to try. */
export function explain(url: string, error: NodeJS.ErrnoException): Error {
  const code = error.code ?? '';
  const advice = ADVICE.find(([pattern]) => pattern.test(code))?.[1];
  const what = [error, error.cause].map((one) => (one as Error | undefined)?.message).filter(Boolean);
  const message = `The WebSocket connection to '${withoutSecrets(url)}' failed: ${what.join(': ') || code}`;
  return Object.assign(
    new Error(advice === undefined ? message : `${message} (${advice})`, { cause: error }),
    {
      code,
    },
  );
}

/** Query and credentials are often secret, and messages go to logs. */
function withoutSecrets(text: string): string {
  const url = new URL(text);
  return `${url.protocol}//${url.host}${url.pathname}`;
}
