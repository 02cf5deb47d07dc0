//! Zero bytes behind the content of a buffer: padding, and room that is overwritten.

/// Source of the bytes, which stays in the cache of the processor.
static ZEROS: [u8; 4096] = [0; 4096];

/// Appends `count` zero bytes. A program that is optimized for size runs `Vec::resize` byte by byte, and this by copies of
/// memory.
pub(crate) fn append_zeros(buffer: &mut Vec<u8>, count: usize) {
    buffer.reserve(count);
    let mut left = count;
    while left > 0 {
        let piece = left.min(ZEROS.len());
        buffer.extend_from_slice(&ZEROS[..piece]);
        left -= piece;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_follow_the_content() {
        for count in [0, 1, 4095, 4096, 4097, 60_000] {
            let mut buffer = vec![7];
            append_zeros(&mut buffer, count);
            assert_eq!(buffer[0], 7);
            assert_eq!(buffer[1..], vec![0; count]);
        }
    }
}
