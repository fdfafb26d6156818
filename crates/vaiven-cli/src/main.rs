//! The `vaiven` command.

fn main() {}
