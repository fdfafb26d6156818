/**
 * What a client asks and only wants to know, such as a piece of history: asked again after a lost connection, since
 * asking twice does no harm.
 */

import { fromBase64, type History, type Presence, type Publication, type ServerMessage } from './protocol.js';

/** How many may wait for their answers. */
const MAX_REQUESTS = 256;

/** A question, as fields of a message. */
export interface Question {
  readonly type: 'history' | 'presence';
  readonly channel: string;
}

interface Asked {
  readonly ticket: number;
  readonly question: Question;
  id: number | undefined;
}

export class Requests {
  readonly #asked = new Map<number, Asked>();
  /** How many of them this connection has not been asked. */
  #unasked = 0;

  /** Takes a question; says whether there was room. */
  add(ticket: number, question: Question): boolean {
    if (this.#asked.size >= MAX_REQUESTS) return false;
    this.#asked.set(ticket, { ticket, question, id: undefined });
    this.#unasked += 1;
    return true;
  }

  /** The next question that this connection has not been asked; `id` is then its number. */
  next(id: number): Question | undefined {
    for (const asked of this.#asked.values()) {
      if (asked.id === undefined) {
        asked.id = id;
        this.#unasked -= 1;
        return asked.question;
      }
    }
    return undefined;
  }

  get isReady(): boolean {
    return this.#unasked > 0;
  }

  /** Ends a question; gives its ticket. */
  answered(id: number): number | undefined {
    for (const asked of this.#asked.values()) {
      if (asked.id === id) {
        this.#asked.delete(asked.ticket);
        return asked.ticket;
      }
    }
    return undefined;
  }

  /** The connection is gone. */
  lost(): void {
    for (const asked of this.#asked.values()) asked.id = undefined;
    this.#unasked = this.#asked.size;
  }

  /** The client has ended: all tickets. */
  close(): number[] {
    const tickets = [...this.#asked.keys()];
    this.#asked.clear();
    this.#unasked = 0;
    return tickets;
  }
}

/** What an answer says, for the application. */
export function readAnswer(answer: ServerMessage): History | Presence {
  if (answer.type === 'presence') return { count: answer.count ?? 0, clients: answer.clients ?? [] };
  const { epoch = '', offset = 0, more = false, publications = [] } = answer;
  return { publications: publications.map(readPublication), position: { epoch, offset }, more };
}

/** Bytes are there in base64, since they stand within JSON. */
function readPublication({ base64, ...publication }: Publication & { base64?: string }): Publication {
  return base64 === undefined ? publication : { ...publication, data: fromBase64(base64) };
}
