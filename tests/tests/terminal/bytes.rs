//! Not a byte is changed on the way, in either direction: from a browser through the gateway and the door to where
//! ttyd listens, and back.

use std::time::Duration;

use berth_tests::raw::{BINARY, PING, TEXT, frame};
use berth_tests::stack::write_agent_config;
use berth_tests::{Raw, Stack, programs};
use tokio::time::timeout;

const MIB: usize = 1024 * 1024;

/// The most input of one message.
const MOST: usize = 64 * 1024;

/// How long an echo may take.
const ECHO: Duration = Duration::from_secs(10);

/// A terminal whose far end gives back what it gets.
async fn open(stack: &mut Stack) -> Raw {
    write_agent_config(&stack.path(""), &programs::built("echo-ttyd"));
    stack.enroll("main");
    stack.start_agent().await;
    let (client, session) = stack.client_and_session("work").await;
    Raw::started(&client, &session).await
}

/// Sends bytes as one message and expects exactly them back.
async fn expect_echo(raw: &mut Raw, bytes: &[u8]) {
    raw.output.clear();
    assert!(raw.send(&frame(BINARY, &[b"0", bytes].concat())).await, "the terminal closed");
    let echo = async {
        while raw.output.len() < bytes.len() {
            assert!(raw.read().await, "the terminal closed");
        }
    };
    timeout(ECHO, echo).await.expect("an echo in time");
    // Not assert_eq: nobody wants to read 64 KiB of noise.
    assert!(raw.output == bytes, "{} bytes came back changed", bytes.len());
    assert!(
        raw.others.iter().all(|other| matches!(other.first, TEXT | PING)),
        "more came than output: {:?}",
        raw.others
    );
}

/// Noise that is the same every time, in messages of all sizes.
async fn expect_noise_back(raw: &mut Raw, mut size: usize) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    while size > 0 {
        let length = size.min(1 + usize::try_from(next()).unwrap() % MOST);
        let bytes: Vec<u8> = std::iter::repeat_with(|| next().to_le_bytes()).flatten().take(length).collect();
        expect_echo(raw, &bytes).await;
        size -= length;
    }
}

#[tokio::test]
async fn every_byte_value_and_every_length_of_a_header_arrives() {
    let mut stack = Stack::start_gateway().await;
    let mut raw = open(&mut stack).await;
    let all: Vec<u8> = (0..=255).collect();
    expect_echo(&mut raw, &all).await;
    for byte in all {
        expect_echo(&mut raw, &[byte]).await;
    }
    // With the type byte, these are the last of each form of a frame's length, and the first of the next.
    for length in [124, 125, 126, 65534, 65535, 65536] {
        expect_echo(&mut raw, &vec![0xa5; length]).await;
    }
    // What looks like UTF-8 is cut in the middle; what looks like zmodem or an escape is nobody's business.
    for bytes in
        [&b"\xf0\x9f"[..], b"\x8c\xb2", b"**\x18B00000000000000\r\x8a\x11", b"\x1b]52;c;AAAA\x07", b"\0"]
    {
        expect_echo(&mut raw, bytes).await;
    }
    expect_noise_back(&mut raw, 4 * MIB).await;
}

#[tokio::test]
#[ignore = "long: scripts/test --long"]
async fn a_hundred_mebibytes_of_noise_arrive() {
    let mut stack = Stack::start_gateway().await;
    let mut raw = open(&mut stack).await;
    expect_noise_back(&mut raw, 100 * MIB).await;
}
