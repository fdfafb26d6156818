// Pictures: a file that somebody chose -> a JPEG file that fits one message, and back.
//
// A picture carries its author in a comment of the JPEG's own, so that whoever receives it just has a picture.

import { tidyName } from '../shared/names.js';

export const MAX_PICTURE_BYTES = 63 * 1024; // the server's default limit for one message, less what is said beside it
const MAX_FILE_BYTES = 40 * 1024 * 1024; // a picture this large is not worth decoding in a page

const SIGNATURES = [['image/jpeg', 0, [0xff, 0xd8, 0xff]], ['image/png', 0, [0x89, 0x50, 0x4e, 0x47]],
  ['image/gif', 0, [0x47, 0x49, 0x46, 0x38]], ['image/webp', 8, [0x57, 0x45, 0x42, 0x50]],
  ['image/avif', 4, [0x66, 0x74, 0x79, 0x70, 0x61, 0x76, 0x69]]];

/** The type of a picture, or null for bytes of another kind. */
export const imageType = (bytes) => SIGNATURES
  .find(([, at, magic]) => magic.every((byte, i) => bytes[at + i] === byte))?.[0] ?? null;

/** The author in a JPEG comment `by NAME` directly behind the start marker, or null. */
export function authorOf(bytes) {
  if (bytes.length < 6 || bytes[0] !== 0xff || bytes[1] !== 0xd8 || bytes[2] !== 0xff || bytes[3] !== 0xfe) return null;
  const text = new TextDecoder().decode(bytes.subarray(6, 4 + bytes[4] * 256 + bytes[5]));
  return text.startsWith('by ') ? tidyName(text.slice(3)) || null : null;
}

async function withAuthor(jpeg, name) {
  const comment = new TextEncoder().encode(`by ${name}`);
  const length = comment.length + 2;
  const file = new Blob([jpeg.slice(0, 2), new Uint8Array([0xff, 0xfe, length >> 8, length & 255]), comment, jpeg.slice(2)]);
  return new Uint8Array(await file.arrayBuffer());
}

/** Draws the picture anew, smaller until it fits one message; null if it never does. That also leaves behind where it was taken. */
export async function fit(file, name) {
  if (file.size > MAX_FILE_BYTES) return null;
  const bitmap = await createImageBitmap(file);
  const canvas = document.createElement('canvas');
  try {
    for (const edge of [1600, 1200, 900, 640, 440, 300, 160]) {
      const scale = Math.min(1, edge / Math.max(bitmap.width, bitmap.height));
      canvas.width = Math.max(1, Math.round(bitmap.width * scale));
      canvas.height = Math.max(1, Math.round(bitmap.height * scale));
      const pen = canvas.getContext('2d');
      pen.fillStyle = '#fff';
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      for (const quality of [0.86, 0.72, 0.55]) {
        const jpeg = await new Promise((done) => { canvas.toBlob(done, 'image/jpeg', quality); });
        if (!jpeg) return null;
        const bytes = await withAuthor(jpeg, name);
        if (bytes.length <= MAX_PICTURE_BYTES) return bytes;
      }
    }
    return null;
  } finally {
    bitmap.close();
  }
}

export const imageIn = (transfer) => [...(transfer?.files ?? [])].find((f) => f.type.startsWith('image/')) ?? transfer?.files?.[0];
