// A session with a driver on virtual time, over links to a model server that can be cut at any point.

import { Session } from '../dist/session.js';
import { ModelConnection } from './model-server.mjs';

const OPTIONS = {
  transports: ['websocket'],
  hasToken: false,
  backoff: { base: 250, max: 20_000, healthyAfter: 10_000 },
  connectTimeout: 10_000,
  queue: { count: 1024, bytes: 4 << 20 },
};

export class ModelClient {
  /** What the session told, in order. */
  news = [];
  states = [];
  /** Calls for a token, with their functions to answer. */
  tokens = [];
  opens = [];
  #links = new Map();
  #tickets = new Map();
  #count = 0;
  #timer;

  constructor(world, server, options = {}) {
    this.world = world;
    this.server = server;
    this.latency = options.latency ?? (() => world.between(1, 80));
    this.token = options.token;
    const session = `${options.name ?? 'client'}0123456789abcdef`;
    this.session = new Session({ ...OPTIONS, session, ...options }, () => world.random());
  }

  /** Calls the session and does what it says. */
  run(call) {
    call(this.session, this.world.now);
    for (let actions = this.session.takeActions(); actions.length > 0; actions = this.session.takeActions()) {
      for (const action of actions) this.#act(action);
    }
    this.world.cancel(this.#timer);
    const { deadline } = this.session;
    if (deadline === Number.POSITIVE_INFINITY) return;
    this.#timer = this.world.after(Math.ceil(deadline - this.world.now), () => {
      this.run((session, now) => session.handleTimeout(now));
    });
  }

  /** Asks with a ticket; gives an object that becomes `{value}` or `{error}`. */
  ask(call) {
    this.#count += 1;
    const ticket = this.#count;
    const outcome = { ticket };
    this.#tickets.set(ticket, outcome);
    this.run((session, now) => call(session, now, ticket));
    return outcome;
  }

  publish(channel, data, options = {}) {
    const body = data instanceof Uint8Array ? data : JSON.stringify(data);
    return this.ask((session, now, ticket) => session.publish(now, ticket, channel, options, body));
  }

  subscribe(channel, options = {}) {
    return this.ask((session, now, ticket) => session.subscribe(now, ticket, channel, options));
  }

  /** What a listener of the channel was told. */
  messages(channel) {
    return this.news
      .filter((news) => news.channel === channel && news.event === 'message')
      .map(({ detail }) => detail);
  }

  /** Every connection of this client: `how` is 'cut', told at once; 'stall', which delays; or 'silence', which loses. */
  hurt(how) {
    for (const link of this.#links.values()) link.hurt(how);
  }

  #act(action) {
    const { type, connection } = action;
    if (type === 'open') this.#open(action);
    else if (type === 'send') this.#links.get(connection)?.toServer(action.message);
    else if (type === 'close') {
      this.#links.get(connection)?.closedByClient();
      this.#links.delete(connection);
    } else if (type === 'token') this.#getToken(action.request);
    else if (type === 'settle') Object.assign(this.#tickets.get(action.ticket), action);
    else if (type === 'state') this.states.push({ at: this.world.now, ...action.change });
    else this.news.push({ at: this.world.now, ...action });
  }

  #getToken(request) {
    this.tokens.push(request);
    const token = typeof this.token === 'function' ? this.token(this.tokens.length) : this.token;
    this.world.after(5, () => {
      if (token instanceof Error) this.run((session, now) => session.gotNoToken(now, request, token));
      else this.run((session, now) => session.gotToken(now, request, token));
    });
  }

  #open({ connection, transport, token }) {
    this.opens.push({ at: this.world.now, transport, token });
    const link = new Link(this, connection);
    this.#links.set(connection, link);
    link.open();
  }
}

/** A WebSocket between both, as far as they can see: messages in order, with delays, until an end. */
class Link {
  #client;
  #world;
  #connection;
  #server;
  #stalledUntil = 0;
  #isLost = false;
  #isClosed = false;
  #lastArrival = [0, 0];

  constructor(client, connection) {
    this.#client = client;
    this.#world = client.world;
    this.#connection = connection;
  }

  open() {
    const { server } = this.#client;
    this.#arrive(0, () => {
      if (!server.isUp) {
        this.#arrive(1, () => this.#ended(1006, ''));
        return;
      }
      this.#server = new ModelConnection(server, {
        message: (message) =>
          this.#arrive(1, () =>
            this.#told((session, now, number) => session.received(now, number, toIncoming(message))),
          ),
        close: (code, reason) => this.#arrive(1, () => this.#ended(code, reason)),
      });
      this.#arrive(1, () => this.#told((session, now, number) => session.opened(now, number)));
    });
  }

  toServer(message) {
    this.#arrive(0, () => this.#server?.receive(message));
  }

  /** What is under way still arrives at the server. */
  closedByClient() {
    this.#isClosed = true;
    this.#arrive(0, () => this.#server?.forget());
  }

  hurt(how) {
    if (how === 'stall') this.#stalledUntil = this.#world.now + this.#world.between(1_000, 30_000);
    else {
      // What is under way is lost at both ends, and the ends learn of it sooner or later.
      this.#isLost = true;
      this.#world.after(how === 'cut' ? this.#world.between(0, 200) : 60_000, () => this.#server?.forget());
      if (how === 'cut') this.#world.after(this.#world.between(0, 200), () => this.#ended(1006, ''));
    }
  }

  /** In a while, behind everything that went this way before. */
  #arrive(way, call) {
    const at = Math.max(this.#world.now + this.#client.latency(), this.#stalledUntil, this.#lastArrival[way]);
    this.#lastArrival[way] = at;
    this.#world.after(at - this.#world.now, () => {
      if (!this.#isLost) call();
    });
  }

  #told(call) {
    if (!this.#isClosed) this.#client.run((session, now) => call(session, now, this.#connection));
  }

  #ended(code, reason) {
    this.#told((session, now, number) => session.ended(now, number, { code, reason }));
    this.#isClosed = true;
  }
}

function toIncoming(message) {
  return typeof message === 'string' ? message : new Uint8Array(message).buffer;
}
