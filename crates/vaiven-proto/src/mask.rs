//! Masking (RFC 6455 section 5.3): exclusive-or with a repeated key of four bytes.
//!
//! One loop over blocks that the compiler turns into vector instructions, compiled a second time with AVX2
//! enabled and chosen at run time. The `unsafe` calls are those into the AVX2 copies, behind the check that the
//! processor has it; `benches/mask.rs` shows what they are worth.

#![expect(unsafe_code, reason = "calls of functions compiled for AVX2, behind the run-time check for it")]

/// Bytes that one step of the vector loop takes.
const BLOCK: usize = 128;

/// Below this many bytes the run-time choice costs more than wider registers save.
#[cfg(target_arch = "x86_64")]
const WIDE_MIN: usize = 256;

/// The key as it stands after `bytes` bytes of payload were masked with it.
#[inline]
pub fn rotate_key(key: [u8; 4], bytes: usize) -> [u8; 4] {
    let mut key = key;
    key.rotate_left(bytes % 4);
    key
}

/// Masks or unmasks `payload` in place; `key` begins at its first byte.
#[inline]
pub fn apply_mask(payload: &mut [u8], key: [u8; 4]) {
    #[cfg(target_arch = "x86_64")]
    if payload.len() >= WIDE_MIN && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, which is all that the function asks for.
        return unsafe { apply_avx2(payload, key) };
    }
    apply_blocks(payload, key);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn apply_avx2(payload: &mut [u8], key: [u8; 4]) {
    apply_blocks(payload, key);
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "the loop must be compiled with its caller's vector instructions")]
fn apply_blocks(payload: &mut [u8], key: [u8; 4]) {
    let word = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    let (blocks, rest) = payload.as_chunks_mut::<BLOCK>();
    for block in blocks {
        for lane in block.as_chunks_mut::<8>().0 {
            *lane = (u64::from_ne_bytes(*lane) ^ word).to_ne_bytes();
        }
    }
    let (lanes, tail) = rest.as_chunks_mut::<8>();
    for lane in lanes {
        *lane = (u64::from_ne_bytes(*lane) ^ word).to_ne_bytes();
    }
    let (lanes, tail) = tail.as_chunks_mut::<4>();
    for lane in lanes {
        *lane = (u32::from_ne_bytes(*lane) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// The scalar twin: one byte at a time, as the standard writes it.
#[inline]
pub fn apply_bytewise(payload: &mut [u8], key: [u8; 4]) {
    for (byte, key) in payload.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector_and_scalar_twins_agree_at_every_length_and_alignment() {
        let longest = if cfg!(miri) { 300 } else { 2_000 };
        let source: Vec<u8> = (0..251).cycle().step_by(31).take(longest + 64).collect();
        let key = [0x12, 0x00, 0xff, 0x9a];
        for start in [0, 1, 3, 7, 31] {
            for len in (0..=longest).step_by(if cfg!(miri) { 17 } else { 1 }) {
                let mut vector = source[start..start + len].to_vec();
                let mut scalar = vector.clone();
                apply_mask(&mut vector, key);
                apply_bytewise(&mut scalar, key);
                assert_eq!(vector, scalar, "start {start} len {len}");
            }
        }
    }

    #[test]
    fn a_payload_masked_in_pieces_is_the_payload_masked_whole() {
        let source: Vec<u8> = (0..97).collect();
        let key = [1, 2, 3, 4];
        let mut whole = source.clone();
        apply_mask(&mut whole, key);
        for cut in 0..source.len() {
            let mut pieces = source.clone();
            let (a, b) = pieces.split_at_mut(cut);
            apply_mask(a, key);
            apply_mask(b, rotate_key(key, cut));
            assert_eq!(pieces, whole);
        }
    }
}
