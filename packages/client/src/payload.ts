/** What an application publishes to what is sent: JSON text or bytes, as they are at this moment. */

import { VaivenError } from './errors.js';
import { type Body, isTooDeep } from './protocol.js';

/** The data, or a promise of them for a Blob, whose bytes can only be read in a while. Throws for what is no data. */
export function toBody(data: unknown): Body | Promise<Body> {
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice() as Body;
  }
  const kind = Object.prototype.toString.call(data);
  // An object of another window or realm is no instance of this one's classes.
  if (kind === '[object ArrayBuffer]') return new Uint8Array(data as ArrayBuffer).slice();
  if (kind === '[object Blob]' || kind === '[object File]') return readBlob(data as Blob);
  return toJson(data);
}

function toJson(data: unknown): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(data);
  } catch (cause) {
    throw new VaivenError('bad_data', 'the data cannot be written as JSON', { cause });
  }
  if (json === undefined) {
    throw new VaivenError('bad_data', `the data are ${typeof data}, which JSON does not have`);
  }
  if (isTooDeep(json)) throw new VaivenError('bad_data', 'the data nest deeper than the server takes');
  return json;
}

async function readBlob(blob: Blob): Promise<Body> {
  try {
    return new Uint8Array(await blob.arrayBuffer());
  } catch (cause) {
    throw new VaivenError('bad_data', 'the Blob cannot be read', { cause });
  }
}
