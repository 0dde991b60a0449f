//! How the targets read what the fuzzer gives them: a byte of choices, the number of cuts, the cuts of two bytes each,
//! and then the bytes that a peer sends.

/// Choices, cuts, and what is sent.
#[must_use]
pub fn split(data: &[u8]) -> (u8, Vec<usize>, &[u8]) {
    let [choices, count, rest @ ..] = data else { return (0, Vec::new(), data) };
    let size = (usize::from(*count % 16) * 2).min(rest.len() / 2 * 2);
    let (cuts, sent) = rest.split_at(size);
    let cuts = cuts.chunks_exact(2).map(|cut| usize::from(u16::from_be_bytes([cut[0], cut[1]])));
    (*choices, cuts.collect(), sent)
}
