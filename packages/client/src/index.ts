/** The face of the package. */

export { Channel, type ChannelEvents, type HistoryOptions } from './channel.js';
export { Client, type ClientEvents } from './client.js';
export { type ClientErrorCode, type ErrorCode, type ServerErrorCode, VaivenError } from './errors.js';
export type { ClientOptions, TokenSource } from './options.js';
export type {
  Contract,
  History,
  Member,
  Message,
  Position,
  Presence,
  PresenceChange,
  Publication,
} from './protocol.js';
export type { Published, PublishOptions } from './publications.js';
export type { State, StateChange } from './session.js';
export type { Gap, Subscribed, SubscribeOptions } from './subscription.js';
export type { TransportName } from './transport-choice.js';
export type { WebSocketClass, WebSocketLike } from './websocket-transport.js';
