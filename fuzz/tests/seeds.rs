//! The seeds and every past finding, as ordinary tests.

use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut count = 0;
    for seed in std::fs::read_dir(&folder).expect("every target has seeds") {
        let path = seed.expect("a readable folder").path();
        eprintln!("{}", path.display());
        run(&std::fs::read(&path).expect("a readable seed"));
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

macro_rules! targets {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target), vaiven_fuzz::$target);
        })*
    };
}

targets! {
    header decode_server decode_client inflate round_trip operations handshake_server handshake_client
    v1_command engineio_payload socketio_packet
}
