/**
 * `vaiven.v1.json` of docs/protocol.md as types, and its messages to and from what a WebSocket carries.
 *
 * It knows what a message is, and nothing of when one is sent.
 */

/** The name of the protocol in the opening handshake. */
export const SUBPROTOCOL = 'vaiven.v1.json';
/** The deepest JSON that the server takes. */
const MAX_DEPTH = 64;
const LINE_FEED = 10;

/** Where a channel's history stands: what was published up to and with this offset has been seen. */
export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

/** What a channel promises to who subscribes. */
export type Contract = 'reliable' | 'latest' | 'volatile';

/** One message of a channel. */
export interface Publication {
  /** Any JSON value; an ArrayBuffer where it was published as binary. */
  // biome-ignore lint/suspicious/noExplicitAny: only the application knows what is published in its channels.
  readonly data: any;
  /** Its place in the history; not there for what is not kept. */
  readonly offset?: number;
  readonly key?: string;
  /** The key was taken away. */
  readonly removed?: boolean;
  /** Who published it; not there for what came through the HTTP API. */
  readonly client?: string;
  readonly user?: string;
  /** The server's time, in milliseconds since 1970. */
  readonly time: number;
}

/** A publication as it arrives. */
export interface Message extends Publication {
  readonly channel: string;
}

/** Who is in a channel. */
export interface Member {
  readonly client: string;
  readonly user?: string;
  readonly info?: unknown;
}

export interface Presence {
  readonly count: number;
  readonly clients: readonly Member[];
}

export interface PresenceChange {
  readonly count: number;
  readonly joined: readonly Member[];
  readonly left: readonly Member[];
}

/** A part of a channel's history. */
export interface History {
  readonly publications: readonly Publication[];
  /** The position of the newest publication of the channel. */
  readonly position: Position;
  /** Whether there are more behind the last one. */
  readonly more: boolean;
}

/** A message for the server, ready for `WebSocket.send`. */
export type Outgoing = string | Uint8Array<ArrayBuffer>;
/** A message of the server, as a WebSocket gives it. */
export type Incoming = string | ArrayBuffer;

/** The data of a publication: JSON text, or bytes. */
export type Body = string | Uint8Array<ArrayBuffer>;

/** A message of the server. Fields that are not there for its type are undefined. */
export interface ServerMessage {
  readonly type: string;
  readonly id?: number;
  readonly channel?: string;
  readonly data?: unknown;
  readonly code?: string | number;
  readonly message?: string;
  readonly reason?: string;
  readonly retry?: number;
  readonly epoch?: string;
  readonly offset?: number;
  readonly duplicate?: boolean;
  readonly contract?: Contract;
  readonly recovered?: boolean;
  readonly missed?: number;
  readonly key?: string;
  readonly removed?: boolean;
  readonly client?: string;
  readonly user?: string;
  readonly time?: number;
  readonly session?: string;
  readonly stream?: string;
  readonly ping?: number;
  readonly window?: number;
  readonly limits?: Limits;
  readonly publications?: readonly (Publication & { base64?: string })[];
  readonly more?: boolean;
  readonly count?: number;
  readonly clients?: readonly Member[];
  readonly joined?: readonly Member[];
  readonly left?: readonly Member[];
}

/** Bounds that the server tells in its `welcome`. */
export interface Limits {
  readonly message_bytes?: number;
  readonly message_rate?: number;
  readonly message_burst?: number;
  readonly publishing?: number;
}

/** A message with these fields, and with `body` as its data where there is one. */
export function encode(fields: object, body?: Body): Outgoing {
  const json = JSON.stringify(fields);
  if (body === undefined) return json;
  if (typeof body === 'string') return `${json.slice(0, -1)},"data":${body}}`;
  const line = new TextEncoder().encode(`${json}\n`);
  const bytes = new Uint8Array(line.length + body.length);
  bytes.set(line);
  bytes.set(body, line.length);
  return bytes;
}

/** A message of the server; undefined where it is none. */
export function decode(incoming: Incoming): ServerMessage | undefined {
  try {
    if (typeof incoming === 'string') return asMessage(JSON.parse(incoming));
    const bytes = new Uint8Array(incoming);
    const end = bytes.indexOf(LINE_FEED);
    if (end < 0) return undefined;
    const message = asMessage(JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))));
    return message && { ...message, data: incoming.slice(end + 1) };
  } catch {
    return undefined;
  }
}

function asMessage(value: unknown): ServerMessage | undefined {
  const type = (value as ServerMessage | null)?.type;
  return typeof type === 'string' ? (value as ServerMessage) : undefined;
}

/** How many bytes a message has on the wire. */
export function byteLength(message: Outgoing): number {
  return typeof message === 'string' ? new TextEncoder().encode(message).length : message.length;
}

/** The bytes of text in base64. */
export function fromBase64(text: string): ArrayBuffer {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
}

/** Whether the server would take JSON of this depth for an attack once it stands in a message. */
export function isTooDeep(json: string): boolean {
  // Every level takes two characters.
  if (json.length < 2 * MAX_DEPTH) return false;
  let depth = 1;
  let inString = false;
  for (let index = 0; index < json.length; index += 1) {
    const character = json[index];
    if (inString) {
      if (character === '\\') index += 1;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{' || character === '[') {
      depth += 1;
      if (depth > MAX_DEPTH) return true;
    } else if (character === '}' || character === ']') depth -= 1;
  }
  return false;
}
