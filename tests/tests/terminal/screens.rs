//! What other tests compare screens by: it sees every look that a cell can have, and every difference.

use berth_tests::{Raw, Screen, Stack, wait};
use tokio::time::timeout;

/// Colours by every way of naming them, attributes (not overline, which capture-pane of tmux 3.3 names wrongly), a
/// line that wraps, wide and combined characters, lines of boxes, a coloured ground up to the edge, and a cursor that is
/// hidden and neither at home nor behind a prompt.
const CARD: &str = r#"
printf '\033[2J\033[H'
printf '\033[%sm%s\033[0m ' 1 bold 2 dim 3 italic 4 underline 5 blink 7 inverse 9 struck '1;3;4' all
printf '\n'
for i in 0 1 2 3 4 5 6 7; do printf '\033[3%dmink\033[4%dmground\033[0m\033[9%dmbright\033[0m' $i $i $i; done
printf '\n'
for i in 16 100 196 231 244 255; do printf '\033[38;5;%dmink\033[48;5;%dmground\033[0m' $i $i; done
printf '\n\033[38;2;1;2;3mink\033[48;2;250;128;7mground\033[0m\n'
printf '日本 🌲 e\314\201 \033(0lqqk\033(B \342\224\202\342\225\220\n'
printf '\033[44mto the edge\033[K\033[0m\n\033[42m\033[2K\033[0m\n'
printf '\033[10;20Hplain\033[12;7H\033[?25l'
read -r _
"#;

/// A session whose single pane shows the card, and a page that draws it.
struct Shown {
    stack: Stack,
    session: String,
    raw: Raw,
    screen: Screen,
    drawn: usize,
}

impl Shown {
    async fn begin() -> Self {
        let stack = Stack::start().await;
        let (client, session) = stack.client_and_session("work").await;
        let zoomed = stack.tmux.run(&["resize-pane", "-Z", "-t", &format!("={session}:")]);
        assert!(zoomed.is_some(), "the pane can't be zoomed");
        let card = stack.path("card");
        std::fs::write(&card, CARD).unwrap();
        let mut raw = Raw::started(&client, &session).await;
        raw.read_until("\u{1b}").await;
        assert!(raw.type_text(&format!("bash {}\r", card.display())).await);
        let mut shown = Self { stack, session, raw, screen: Screen::new(100, 30), drawn: 0 };
        shown.draw_until("plain").await;
        shown
    }

    /// Draws what comes until the screen is that of the pane and has a text.
    async fn draw_until(&mut self, text: &str) {
        let equal = async {
            loop {
                self.screen.draw(&self.raw.output[self.drawn..]);
                self.drawn = self.raw.output.len();
                if self.screen.lines().iter().any(|line| line.contains(text)) && self.difference().is_none() {
                    return;
                }
                assert!(self.raw.read().await, "the terminal closed");
            }
        };
        if timeout(wait::PATIENCE, equal).await.is_err() {
            panic!("not the pane's screen: {:?}\n{:#?}", self.difference(), self.screen.lines());
        }
    }

    fn difference(&self) -> Option<String> {
        self.screen.difference(&self.stack.tmux, &self.session)
    }
}

#[tokio::test]
async fn a_screen_is_compared_in_text_colours_attributes_and_cursor() {
    let mut shown = Shown::begin().await;
    let lines = shown.screen.lines();
    assert!(lines[0].starts_with("bold dim italic"), "{lines:#?}");
    assert_eq!(lines[5], "日本 🌲 e\u{301} ┌──┐ │═");
    // A look that the emulator did not know would be missing on both sides.
    let mut other = Screen::new(100, 30);
    other.draw(&shown.raw.output);
    assert_eq!(other.difference(&shown.stack.tmux, &shown.session), None);

    // Column 20 of row 10 has the p of "plain"; the cursor goes back to where it was.
    for (change, named) in [
        ("q", r#""text":"q""#),
        ("\u{1b}[31mp", r#""ink":"palette 1""#),
        ("\u{1b}[48;2;0;0;1mp", r##""ground":"#000001""##),
        ("\u{1b}[4mp", r#""style":"underline""#),
        ("\u{1b}[7mp", r#""style":"inverse""#),
    ] {
        let draw = format!("\u{1b}7\u{1b}[10;20H\u{1b}[m{change}\u{1b}[m\u{1b}8");
        shown.screen.draw(draw.as_bytes());
        let difference = shown.difference().expect("a changed cell is a difference");
        assert!(difference.contains("row 9, column 19") && difference.contains(named), "{difference}");
        shown.screen.draw(b"\x1b7\x1b[10;20H\x1b[mp\x1b8");
        assert_eq!(shown.difference(), None, "after {change:?} was taken back");
    }
    for change in ["\u{1b}[12;8H", "\u{1b}[?25h"] {
        shown.screen.draw(change.as_bytes());
        let difference = shown.difference().expect("another cursor is a difference");
        assert!(difference.starts_with("the cursor"), "{difference}");
        shown.screen.draw(b"\x1b[12;7H\x1b[?25l");
        assert_eq!(shown.difference(), None);
    }
}
