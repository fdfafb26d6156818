// The bytes of a world -> the world. The layout stands in demos/arena/src/snapshot.rs.

const VERSION = 1;
const HEAD_BYTES = 7;
const BOAT_BYTES = 9;
const LIGHT_BYTES = 3;

/** The world, or null where the bytes are none that this page knows. */
export function decode(buffer) {
  const view = new DataView(buffer);
  if (view.byteLength < HEAD_BYTES || view.getUint8(0) !== VERSION) return null;
  const [boatCount, lightCount] = [view.getUint8(5), view.getUint8(6)];
  if (view.byteLength !== HEAD_BYTES + boatCount * BOAT_BYTES + lightCount * LIGHT_BYTES) return null;
  const boats = new Map();
  let at = HEAD_BYTES;
  for (let i = 0; i < boatCount; i += 1, at += BOAT_BYTES) {
    const flags = view.getUint8(at + 5);
    boats.set(view.getUint8(at), {
      id: view.getUint8(at), ...place(view, at + 1), heading: angle(view.getUint8(at + 4)),
      isBot: (flags & 1) !== 0, isDashing: (flags & 2) !== 0, canDash: (flags & 4) !== 0,
      score: view.getUint16(at + 6, true), input: view.getUint8(at + 8),
    });
  }
  const lights = Array.from({ length: lightCount }, (_, i) => place(view, at + i * LIGHT_BYTES));
  return { tick: view.getUint32(1, true), boats, lights };
}

function place(view, at) {
  const both = view.getUint8(at) | (view.getUint8(at + 1) << 8) | (view.getUint8(at + 2) << 16);
  return { x: (both & 0xfff) / 2 - 1024, y: (both >> 12) / 2 - 1024 };
}

/** From an angle along a diamond, in 256 parts, to one along a circle. */
function angle(byte) {
  const quarter = byte >> 6;
  const part = (byte & 63) / 64;
  const [x, y] = [[1 - part, part], [-part, 1 - part], [part - 1, -part], [part, part - 1]][quarter];
  return Math.atan2(y, x);
}
