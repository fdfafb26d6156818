/**
 * How a client of the standard opens its connection: the arguments of `WebSocket` and `WebSocketStream`, checked, to a
 * plan for the opening handshake and to the settings of the connection behind it.
 */

import { validateHeaderName, validateHeaderValue } from 'node:http';
import type { ConnectionSettings } from './connection';
import { deflateConfig } from './extensions';
import type { OpeningPlan } from './opening';
import { type ClientOptions, keepaliveFrom, limitsFrom, STANDARD_LIMITS } from './options';
import { parseProxy, proxyFromEnvironment } from './proxy';
import { toSubprotocols } from './subprotocols';
import { ownOrigin, parseURL } from './url';

/** The plan for a socket of the class with this name. Throws the standard's SyntaxError, and what is wrong with options. */
export function standardPlan(
  className: string,
  address: string,
  protocols: unknown,
  options: ClientOptions,
): OpeningPlan {
  const url = parseURL(address, className);
  const names = toSubprotocols(protocols, className);
  checkFields(options);
  return {
    url,
    protocols: names,
    options: { ...options, followRedirects: false },
    timeout: limitsFrom(options, STANDARD_LIMITS).handshakeTimeout,
    origin: options.origin ?? ownOrigin(),
    proxy: proxyFor(url, options),
    isStandard: true,
    finish: undefined,
  };
}

/** The settings of the connection, checked. */
export function standardSettings(options: ClientOptions): ConnectionSettings {
  return {
    limits: limitsFrom(options, STANDARD_LIMITS),
    autoPong: options.autoPong ?? true,
    keepalive: keepaliveFrom(options),
  };
}

/** Fields that cannot be sent are an error before anything is connected. */
function checkFields({ headers = {}, origin, perMessageDeflate }: ClientOptions): void {
  for (const [name, value] of Object.entries(headers)) {
    validateHeaderName(name);
    for (const one of Array.isArray(value) ? value : [value]) validateHeaderValue(name, String(one));
  }
  if (origin !== undefined) validateHeaderValue('Origin', origin);
  deflateConfig(perMessageDeflate);
}

/** Whoever brings an agent or connections of their own has said how to connect. */
function proxyFor(url: URL, { agent, createConnection, proxy }: ClientOptions): URL | undefined {
  if (proxy === false) return undefined;
  if (proxy !== undefined) return parseProxy(proxy);
  return agent || createConnection ? undefined : proxyFromEnvironment(url);
}
