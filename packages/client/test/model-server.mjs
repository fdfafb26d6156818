// The server's side of docs/protocol.md as its text has it, on virtual time, with the faults that it allows for.
//
// It is a specification that runs: channels are lists, and nothing is fast. It judges the client as well: what a
// client must not send is an error of the simulation.

import assert from 'node:assert/strict';

const DEFAULTS = {
  ping: 25_000,
  window: 120_000,
  rate: 100,
  burst: 200,
  publishing: 16,
  demandsToken: false,
};

export class ModelServer {
  /** Everything that was ever kept, by channel and epoch, in order. */
  kept = new Map();
  connections = new Set();
  isUp = true;
  /** Probabilities of faults; all are 0 once the world is to become quiet. */
  faults = { unavailable: 0, skip: 0, double: 0, kick: 0 };
  /** Data of publications that were refused, whether the client came to know of it or not. */
  refused = [];
  /** How often a client was told that it cannot have everything. */
  unrecovered = 0;
  #channels = new Map();
  /** What is remembered of numbered publications. */
  #seen = new Map();
  #epochs = 0;

  constructor(world, options = {}) {
    this.world = world;
    this.options = { ...DEFAULTS, ...options };
  }

  contract(name) {
    return name.startsWith('live:') ? 'volatile' : name.startsWith('latest:') ? 'latest' : 'reliable';
  }

  channel(name) {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = {
        name,
        contract: this.contract(name),
        epoch: this.#newEpoch(),
        log: [],
        first: 1,
        keys: new Map(),
      };
      this.#channels.set(name, channel);
      this.kept.set(`${name} ${channel.epoch}`, channel.log);
    }
    return channel;
  }

  /** The position of the newest publication. */
  head(name) {
    const { epoch, log } = this.channel(name);
    return { epoch, offset: log.length };
  }

  /** The process ends and begins anew: what is in memory alone is gone. */
  restart(told) {
    for (const connection of [...this.connections]) {
      if (told) connection.disconnect(1012, 'the server restarts', this.world.between(0, 3000));
      else connection.cut();
    }
    for (const [key, { isDurable }] of this.#seen) if (!isDurable) this.#seen.delete(key);
    for (const channel of this.#channels.values()) channel.keys.clear();
  }

  /** The store is lost as well, and with it every epoch. */
  loseStore() {
    this.restart(false);
    this.#seen.clear();
    this.#channels.clear();
  }

  /** The history keeps only its newest publications. */
  trim(name, keep) {
    const channel = this.channel(name);
    channel.first = Math.max(channel.first, channel.log.length - keep + 1);
  }

  /** Takes a publication; gives its fields of the answer, or an error code. */
  publish(connection, { channel: name, seq, key, remove, ephemeral, data }) {
    const channel = this.channel(name);
    const known = this.#seen.get(`${connection.session} ${seq}`);
    if (seq !== undefined && known !== undefined && this.world.now < known.at + this.options.window) {
      return { ...known.answer, duplicate: true };
    }
    if (this.world.chance(this.faults.unavailable)) {
      this.refused.push(data);
      return { error: 'unavailable', retry: 100 };
    }
    const publication = { data, key, removed: remove, client: connection.client, time: this.world.now };
    const isKept = channel.contract === 'reliable' && !ephemeral;
    const answer = {};
    if (isKept) {
      channel.log.push(publication);
      publication.offset = channel.log.length;
      Object.assign(answer, { epoch: channel.epoch, offset: publication.offset });
    }
    if (channel.contract === 'latest' && !ephemeral) channel.keys.set(key ?? '', publication);
    if (seq !== undefined) {
      this.#seen.set(`${connection.session} ${seq}`, { at: this.world.now, answer, isDurable: isKept });
    }
    for (const other of this.connections) other.deliver(channel, publication);
    return answer;
  }

  #newEpoch() {
    this.#epochs += 1;
    return `e${this.#epochs}`;
  }
}

/** The server's end of one connection. */
export class ModelConnection {
  session;
  client = '';
  #server;
  #peer;
  #subscriptions = new Set();
  #isWelcome = false;
  #isOver = false;
  #tokens;
  #at = 0;
  #lastPublished = 0;
  #pending = 0;

  /** `peer` has `message(text or bytes)` and `close(code, reason)`. */
  constructor(server, peer) {
    this.#server = server;
    this.#peer = peer;
    this.#tokens = server.options.burst;
    this.#at = server.world.now;
    server.connections.add(this);
    this.#ping();
  }

  /** Takes a message of the client. */
  receive(incoming) {
    if (this.#isOver) return;
    this.#count();
    const command = parse(incoming);
    if (!this.#isWelcome) this.#connect(command);
    else this[`_${command.type}`](command);
    if (this.#server.world.chance(this.#server.faults.kick)) this.disconnect(1013, 'no room', 200);
  }

  /** The connection is gone without a word. */
  cut() {
    this.#end();
    this.#peer.close(1006, '');
  }

  /** The server ends the connection. */
  disconnect(code, reason, retry) {
    if (this.#isOver) return;
    this.#say({ type: 'disconnect', code, reason, retry });
    this.#end();
    this.#peer.close(code, reason);
  }

  /** Nobody is there any more. */
  forget() {
    this.#end();
  }

  deliver(channel, publication) {
    const { world, faults } = this.#server;
    if (!this.#subscriptions.has(channel.name) || world.chance(faults.skip)) return;
    this.#message(channel, publication);
    if (world.chance(faults.double)) this.#message(channel, publication);
  }

  /** The subscription ends, though the connection stays. */
  evict(name, code) {
    if (this.#subscriptions.delete(name))
      this.#say({ type: 'unsubscribed', channel: name, code, message: 'evicted' });
  }

  #end() {
    this.#isOver = true;
    this.#server.connections.delete(this);
  }

  #connect(command) {
    assert.equal(command.type, 'connect');
    assert.match(command.session, /^[A-Za-z0-9_-]{16,64}$/);
    const { demandsToken, ping, window, rate, burst, publishing } = this.#server.options;
    if (demandsToken && !demandsToken(command.token)) {
      this.disconnect(3000, 'the token has ended');
      return;
    }
    this.#isWelcome = true;
    this.session = command.session;
    this.client = command.session.slice(0, 4);
    const limits = {
      message_bytes: 65_536,
      message_rate: rate,
      message_burst: burst,
      publishing,
      channels: 128,
    };
    this.#say({
      type: 'welcome',
      id: command.id,
      client: this.client,
      session: this.session,
      ping,
      window,
      limits,
    });
  }

  _subscribe({ id, channel: name, since, last }) {
    if (this.#subscriptions.has(name)) return this.#refuse(id, 'already_subscribed');
    if (this.#server.world.chance(this.#server.faults.unavailable)) return this.#refuse(id, 'unavailable');
    this.#subscriptions.add(name);
    const channel = this.#server.channel(name);
    const { contract, epoch, log, first, keys } = channel;
    if (contract !== 'reliable') {
      this.#say({ type: 'subscribed', id, channel: name, contract, recovered: since && true });
      for (const publication of keys.values()) this.#message(channel, publication);
      return;
    }
    const isKnown = since !== undefined && since.epoch === epoch && since.offset <= log.length;
    const recovered = since && isKnown && since.offset + 1 >= first;
    const offset = recovered ? since.offset : Math.max(first - 1, log.length - (last ?? 0));
    if (recovered === false) this.#server.unrecovered += 1;
    const missed = since && log.length - offset;
    this.#say({ type: 'subscribed', id, channel: name, contract, epoch, offset, recovered, missed });
    for (const publication of log.slice(offset)) this.#message(channel, publication);
  }

  _unsubscribe({ id, channel }) {
    if (!this.#subscriptions.delete(channel)) return this.#refuse(id, 'not_subscribed');
    this.#say({ type: 'ok', id });
  }

  _publish(command) {
    const { world, options } = this.#server;
    if (command.seq !== undefined) {
      assert.ok(command.seq > this.#lastPublished, 'numbers go up on one connection');
      this.#lastPublished = command.seq;
    }
    this.#pending += 1;
    assert.ok(this.#pending <= options.publishing, 'no more publications under way than the server said');
    const { error, retry, ...answer } = this.#server.publish(this, command);
    // Taken in order, but acknowledged when the store has it: in whatever order.
    world.after(world.between(0, 50), () => {
      this.#pending -= 1;
      if (error) this.#refuse(command.id, error, retry);
      else this.#say({ type: 'ok', id: command.id, ...answer });
    });
  }

  _history({ id, channel: name, since, limit = 300 }) {
    const { epoch, log, first } = this.#server.channel(name);
    const from = Math.max(since?.offset ?? 0, first - 1);
    const publications = log.slice(from, from + limit).map(({ data, ...rest }) => {
      return data instanceof Uint8Array
        ? { ...rest, base64: Buffer.from(data).toString('base64') }
        : { ...rest, data };
    });
    const more = from + limit < log.length;
    this.#say({ type: 'history', id, channel: name, epoch, offset: log.length, publications, more });
  }

  _presence({ id, channel }) {
    const clients = [{ client: this.client }];
    this.#say({ type: 'presence', id, channel, count: 1, clients });
  }

  _refresh({ id, token }) {
    if (this.#server.options.demandsToken?.(token)) this.#say({ type: 'ok', id, expires: 60_000 });
    else this.#refuse(id, 'unauthorized');
  }

  _ping({ id }) {
    this.#say({ type: 'pong', id });
  }

  askForToken() {
    this.#say({ type: 'refresh' });
  }

  #message({ name }, { data, ...publication }) {
    const message = { type: 'message', channel: name, ...publication };
    if (!(data instanceof Uint8Array)) this.#say({ ...message, data });
    else if (!this.#isOver) {
      this.#peer.message(Buffer.concat([Buffer.from(`${JSON.stringify(message)}\n`), data]));
    }
  }

  #refuse(id, code, retry) {
    this.#say({ type: 'error', id, code, message: `refused: ${code}`, retry });
  }

  #say(message) {
    if (!this.#isOver) this.#peer.message(JSON.stringify(message));
  }

  #ping() {
    const { world, options } = this.#server;
    world.after(options.ping, () => {
      if (this.#isOver) return;
      this.#say({ type: 'ping' });
      this.#ping();
    });
  }

  /** A token bucket: who passes it is closed with 1008, and a good client never is. */
  #count() {
    const { world, options } = this.#server;
    this.#tokens = Math.min(options.burst, this.#tokens + ((world.now - this.#at) * options.rate) / 1000);
    this.#at = world.now;
    assert.ok(this.#tokens >= 1, 'the client keeps to the rate that the server said');
    this.#tokens -= 1;
  }
}

function parse(incoming) {
  if (typeof incoming === 'string') return JSON.parse(incoming);
  const end = incoming.indexOf(10);
  return { ...JSON.parse(Buffer.from(incoming.subarray(0, end)).toString()), data: incoming.slice(end + 1) };
}
