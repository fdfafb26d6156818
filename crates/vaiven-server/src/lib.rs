//! The real-time server: HTTP, rooms, pages, limits, metrics.
