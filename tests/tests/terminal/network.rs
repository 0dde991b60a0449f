//! A terminal on a bad network: the screen is right afterwards, and what was typed arrived once or not at all.

use std::time::{Duration, Instant};

use berth_tests::Raw;
use berth_tests::network::{self, Network, Page, Weather};
use berth_tests::raw::{BINARY, START, frame};

/// A packet takes 100 ms each way, and every twentieth is lost.
const BAD: Weather = Weather { delay: Duration::from_millis(100), loss_percent: 5, cut: false };

/// Nothing gets through.
const CUT: Weather = Weather { cut: true, ..BAD };

/// How long a page takes keys that nobody may get: it has to notice the silence first.
const NOTICED: Duration = Duration::from_secs(15);

/// Prints in all colours until there is a file QUIET, and notes every line that it is given in a file NOTES.
const PROGRAM: &str = r"
clear
n=0
until [ -e QUIET ]; do
    n=$((n + 1))
    printf 'line \033[%dm%d\033[0m of \033[1;7moutput\033[0m \n' $((31 + n % 6)) $n
    sleep 0.05
done &
exec cat > NOTES";

/// A program that notes every line that it is given while it prints, and what was typed to it.
struct Notes {
    network: Network,
    session: String,
    page: Page,
    typed: Vec<String>,
    dropped: Vec<String>,
}

impl Notes {
    async fn begin(network: Network) -> Self {
        let (client, session) = network.client_and_session().await;
        let program = PROGRAM.replace("QUIET", network.stack.path("quiet").to_str().unwrap());
        let program = program.replace("NOTES", network.stack.path("notes").to_str().unwrap());
        std::fs::write(network.stack.path("program"), program).unwrap();
        network.link.set(BAD);
        // What is bad must be: TCP can't connect in less than a round trip.
        let begun = Instant::now();
        network.far.connect((network::GATEWAY, 9).into(), Duration::from_secs(10)).await.unwrap_err();
        assert!(begun.elapsed() >= 2 * BAD.delay, "the link took {:?}", begun.elapsed());
        let page = Page::new(&network.far, &client, &session);
        let mut notes = Self { network, session, page, typed: Vec::new(), dropped: Vec::new() };
        notes.live_until("the prompt", |notes| notes.page.attached > 0).await;
        let file = notes.network.stack.path("program");
        assert!(notes.page.type_text(&format!("bash {}\r", file.display())).await);
        notes.live_until("the file", |notes| notes.network.stack.path("notes").exists()).await;
        notes
    }

    /// Types so many numbered lines, one every 50 ms.
    async fn type_lines(&mut self, count: usize) {
        for _ in 0..count {
            let line = format!("line-{}", self.typed.len() + self.dropped.len());
            let taken = self.page.type_text(&format!("{line}\r")).await;
            if taken { &mut self.typed } else { &mut self.dropped }.push(line);
            self.page.live(Duration::from_millis(50)).await;
        }
    }

    /// The lines that arrived.
    fn noted(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.network.stack.path("notes")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    async fn live_until(&mut self, what: &str, reached: impl Fn(&Self) -> bool) {
        for _ in 0..600 {
            if reached(self) {
                return;
            }
            self.page.live(Duration::from_millis(100)).await;
        }
        let difference = self.page.screen.difference(&self.network.stack.tmux, &self.session);
        let lines = self.page.screen.lines();
        panic!("waited in vain for {what}; the page shows {lines:#?}; tmux differs in {difference:?}");
    }

    /// Waits until every line that was surely sent has arrived.
    async fn live_until_noted(&mut self) {
        let last = self.typed.last().cloned();
        self.live_until("the last line", |notes| notes.noted().last() == last.as_ref()).await;
    }

    /// Ends the output, and waits until the page shows what a direct attach would.
    async fn end(&mut self) {
        std::fs::write(self.network.stack.path("quiet"), "").unwrap();
        self.live_until("the screen of a direct attach", |notes| {
            notes.page.screen.shows_pane(&notes.network.stack.tmux, &notes.session)
        })
        .await;
        let lines = self.page.screen.lines();
        assert!(lines.iter().any(|line| line.ends_with("output")), "the output is not seen: {lines:#?}");
    }
}

#[test]
fn delay_and_loss_change_nothing() {
    network::test(async |network| {
        let mut notes = Notes::begin(network).await;
        notes.type_lines(60).await;
        notes.live_until_noted().await;
        notes.end().await;
        assert!(notes.dropped.is_empty(), "a bad network is no reason to drop keys: {:?}", notes.dropped);
        assert_eq!(notes.noted(), notes.typed, "in order, each once");
        assert_eq!(notes.page.attached, 1, "a bad network is no reason to attach anew");
    });
}

#[test]
fn a_cut_of_two_seconds_loses_nothing() {
    network::test(async |network| {
        let mut notes = Notes::begin(network).await;
        notes.type_lines(15).await;
        notes.network.link.set(CUT);
        notes.type_lines(5).await;
        notes.page.live(Duration::from_millis(1750)).await;
        notes.network.link.set(BAD);
        notes.type_lines(15).await;
        assert!(notes.dropped.is_empty(), "two seconds are no reason to drop keys: {:?}", notes.dropped);
        notes.live_until_noted().await;
        notes.end().await;
        assert_eq!(notes.noted(), notes.typed, "in order, each once");
        assert_eq!(notes.page.attached, 1, "two seconds are no reason to attach anew");
    });
}

#[test]
fn after_a_cut_of_thirty_seconds_nothing_is_doubled_and_the_screen_is_right() {
    network::test(async |network| survive_a_cut(network, Duration::from_secs(30)).await);
}

#[test]
#[ignore = "long: scripts/test --long"]
fn after_a_cut_of_ten_minutes_nothing_is_doubled_and_the_screen_is_right() {
    network::test(async |network| survive_a_cut(network, Duration::from_secs(600)).await);
}

/// A cut so long that the page gives the connection up.
async fn survive_a_cut(network: Network, time: Duration) {
    let mut notes = Notes::begin(network).await;
    notes.type_lines(15).await;
    notes.live_until("every line", |notes| notes.noted().len() == 15).await;
    notes.network.link.set(CUT);
    let cut = Instant::now();
    // Sent before anybody could know: these may arrive or not.
    notes.type_lines(3).await;
    notes.page.live(NOTICED).await;
    notes.type_lines(3).await;
    assert_eq!(notes.dropped.len(), 3, "a page that knows better took keys");
    notes.page.live(time.saturating_sub(cut.elapsed())).await;
    notes.network.link.set(BAD);
    notes.live_until("the page to attach anew", |notes| notes.page.attached == 2).await;
    notes.type_lines(15).await;
    notes.live_until_noted().await;
    notes.end().await;
    // The cut took none of what was typed outside of it, and what was typed within came once or not at all.
    let (noted, uncertain) = (notes.noted(), &notes.typed[15..18].to_vec());
    let certain = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|line| !uncertain.contains(line)).cloned().collect()
    };
    assert_eq!(certain(&noted), certain(&notes.typed), "in order, each once");
    for line in uncertain {
        let times = noted.iter().filter(|noted| *noted == line).count();
        assert!(times <= 1, "{line} was typed once and noted {times} times");
    }
    assert_eq!(notes.page.attached, 2, "once is enough to attach anew");
}

/// A round trip of 50 ms.
const FAR: Weather = Weather { delay: Duration::from_millis(25), loss_percent: 0, cut: false };

/// Output that may follow ^C on the way to a page: its window, what the box's sockets hold, and what the program
/// writes during a round trip.
const AFTER_INTERRUPT: usize = 1024 * 1024;

#[test]
fn a_flood_far_away_is_interrupted_at_once() {
    network::test(async |network| {
        let (client, session) = network.client_and_session().await;
        network.link.set(FAR);
        let stream = network.far.connect(network::gateway_of(&client), Duration::from_secs(10));
        let protocols = format!("berth.v1, ticket.{}", client.ticket(&session).await);
        let raw = Raw::over(stream.await.unwrap(), &client, &session, &protocols);
        let mut raw = raw.await.expect("the gateway agrees to the upgrade");
        assert!(raw.send(&frame(BINARY, START)).await);
        raw.read_until("\u{1b}").await;
        assert!(raw.acknowledge().await);
        assert!(raw.type_text("clear; seq 1000001 1000000000000\r").await);
        // Whatever could queue has had the time to.
        let mut drawn = raw.output.len();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) || raw.output.len() < 2 * AFTER_INTERRUPT {
            assert!(begun.elapsed() < Duration::from_secs(120), "there is no flood: {}", raw.output.len());
            assert!(raw.read().await, "the terminal closed");
            draw(&mut raw, &mut drawn).await;
        }
        let typed = raw.output.len();
        assert!(raw.type_text("\u{3}").await);
        assert!(raw.type_text("echo stopped-$((40+2))\r").await);
        let (word, mut seen) = (b"stopped-42", typed);
        while !raw.output[seen..].windows(word.len()).any(|window| window == word) {
            seen = (raw.output.len() + 1).saturating_sub(word.len()).max(typed);
            assert!(raw.read().await, "the terminal closed");
            draw(&mut raw, &mut drawn).await;
            assert!(raw.output.len() - typed < 8 * AFTER_INTERRUPT, "the flood goes on");
        }
        let more = raw.output.len() - typed;
        assert!(more < AFTER_INTERRUPT, "{more} bytes came before ^C took effect");
    });
}

/// Acknowledges as a page does that draws 32 KiB at a time.
async fn draw(raw: &mut Raw, drawn: &mut usize) {
    if raw.output.len() >= *drawn + 32 * 1024 {
        *drawn = raw.output.len();
        assert!(raw.acknowledge().await, "the terminal closed");
    }
}
