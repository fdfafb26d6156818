//! Helpers of the tests: a pair of peers and a seeded link.
