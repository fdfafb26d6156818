// What this browser remembers for its visitor.

export function recall(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`vaiven.${key}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(`vaiven.${key}`, JSON.stringify(value));
  } catch {
    // Private windows and strict settings forbid storage; the pages work without.
  }
}
