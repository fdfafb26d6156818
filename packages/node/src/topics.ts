/** Topics of a server: who has subscribed to what, and one message for all of them. */

import { OPEN } from './connection';
import { Link } from './link';
import { bytesOf, isTextual, manner, type WsSendable, type WsWebSocket } from './ws';
import type { WsConnection } from './ws-connection';

/** How a message to a topic is sent. */
export interface PublishOptions {
  /** Send text as a binary message, or bytes, which then have to be UTF-8, as a text message. */
  binary?: boolean | undefined;
  /** False: never. `always`: also where the message is shorter than the threshold. */
  compress?: boolean | 'always' | undefined;
  /** The one who shall not get it, most often the one who said it. */
  except?: WsWebSocket | undefined;
  /** Called with each socket that the message was not sent to because `maxBufferedAmount` bytes wait there. */
  refused?: ((socket: WsWebSocket) => void) | undefined;
}

export class Topics {
  /** By names that come from clients: a Map has no inherited ones. */
  readonly #subscribers = new Map<string, Set<WsConnection>>();

  subscribe(topic: string, connection: WsConnection): void {
    // The end of the connection is behind it: nobody would take it out again.
    if (connection.readyState > OPEN) return;
    const subscribers = this.#subscribers.get(topic) ?? new Set();
    this.#subscribers.set(topic, subscribers.add(connection));
    connection.subscriptions ??= new Set();
    connection.subscriptions.add(topic);
  }

  unsubscribe(topic: string, connection: WsConnection): void {
    connection.subscriptions?.delete(topic);
    const subscribers = this.#subscribers.get(topic);
    subscribers?.delete(connection);
    if (subscribers?.size === 0) this.#subscribers.delete(topic);
  }

  /** The connection has ended. */
  leave(connection: WsConnection): void {
    for (const topic of connection.subscriptions ?? []) this.unsubscribe(topic, connection);
  }

  count(topic: string): number {
    return this.#subscribers.get(topic)?.size ?? 0;
  }

  /** Gives to how many the message was sent. */
  publish(topic: string, message: WsSendable, options: PublishOptions = {}): number {
    const subscribers = this.#subscribers.get(topic);
    if (subscribers === undefined) return 0;
    if (message instanceof Blob) throw new TypeError('a Blob cannot be published; pass its bytes');
    const { binary, except, refused } = options;
    const bytes = bytesOf(message);
    const isText = binary === undefined ? isTextual(message) : !binary;
    const compress = manner(options.compress);
    const links: Link[] = [];
    let sent = 0;
    // A copy: who hears of a refusal may take subscribers out.
    for (const connection of refused === undefined ? subscribers : [...subscribers]) {
      if (connection.socket === except || connection.readyState !== OPEN) continue;
      if (connection.isBounded && !connection.admit(bytes.length)) {
        refused?.(connection.socket as WsWebSocket);
        continue;
      }
      sent++;
      const { sharedLink } = connection;
      if (sharedLink !== undefined) links.push(sharedLink);
      else if (isText) connection.sendText(bytes, compress);
      else connection.sendBinary(bytes, compress);
    }
    Link.publish(links, bytes, isText, compress);
    return sent;
  }
}
