//! Local echo and programs that take the whole screen: keys that are commands to them are shown by nobody.

use berth_tests::{Browser, Stack, programs, wait};

/// Each way. A keystroke's echo takes twice as long.
const DELAY: u32 = 200;

/// Keeps every text that is shown ahead of the box.
const WATCH_GUESSES: &str = "
    const layer = document.querySelector('[data-testid=predictions]');
    window.guesses = [];
    new MutationObserver(() => window.guesses.push(layer.textContent)).observe(layer, { childList: true });";

/// A pager of few words, for where there is no other: j goes down a line, q leaves.
const PAGER: &str = r#"
top=1
stty -echo -icanon
printf '\033[?1049h'
until [ "$key" = q ]; do
    printf '\033[H\033[2J%s' "$(tail -n "+$top" "$1" | head -n 20)"
    read -rsn1 key
    [ "$key" = j ] && top=$((top + 1))
done
printf '\033[?1049l'
stty sane
"#;

/// Programs, and keys by which the sixth line becomes the first that is shown, and by which they end.
const PROGRAMS: &[(&str, &str, &str)] =
    &[("less", "jjjjj", "q"), ("vim -u NONE", "dddddddddd", ":q!\n"), ("bash pager", "jjjjj", "q")];

/// The guesses shown since the last call, joined.
async fn guesses(browser: &Browser) -> String {
    let seen = browser.script("return window.guesses.splice(0).join('\\n')").await;
    seen.as_str().unwrap_or_default().trim().to_owned()
}

/// Waits until the first row has a text.
async fn first_row(browser: &Browser, text: &str) {
    wait::until(&format!("{text:?} in the first row"), async || {
        browser.screen().await.lines().next()?.starts_with(text).then_some(())
    })
    .await;
}

/// Types a word at the shell's prompt and expects some of it to be seen before the box answers.
async fn shell_echoes(browser: &Browser, word: &str) {
    browser.type_text("clear\n").await;
    wait::until("a screen with a prompt alone", async || {
        let screen = browser.screen().await;
        (screen.starts_with("p> ") && !screen.contains("clear") && !screen.contains("echo")).then_some(())
    })
    .await;
    // What is typed before Enter is answered is not guessed, and the first guess after it has to come true.
    for (typed, line) in [("echo ", "p> echo"), ("o", "p> echo o"), ("n", "p> echo on")] {
        browser.type_text(typed).await;
        browser.shows(line).await;
    }
    guesses(browser).await;
    browser.type_text(word).await;
    browser.shows(&format!("p> echo on{word}")).await;
    assert_ne!(guesses(browser).await, "", "local echo is off in the shell");
    browser.type_text("\n").await;
    browser.shows(&format!("\non{word}")).await;
}

#[tokio::test]
async fn local_echo_is_off_in_programs_that_take_the_whole_screen() {
    let stack = Stack::start().await;
    let browser = Browser::open(1200, 800).await;
    browser.slow_sockets(DELAY).await;
    let session = browser.open_terminal(&stack).await;
    stack.tmux.run(&["resize-pane", "-Z", "-t", &format!("={session}:")]).unwrap();
    let lines: Vec<String> = (1..=200).map(|line| format!("line {line} of the file")).collect();
    std::fs::write(stack.path("file"), lines.join("\n")).unwrap();
    std::fs::write(stack.path("pager"), PAGER).unwrap();
    browser.type_text(&format!("cd {}; PS1='p''> '; clear\n", stack.path("").display())).await;
    browser.shows("p> ").await;
    wait::until("the round trip to be known", async || {
        browser.element("terminal-state").await.text().await.ok()?.contains(" ms").then_some(())
    })
    .await;
    browser.script(WATCH_GUESSES).await;

    for (command, keys, end) in PROGRAMS {
        let name = command.split(' ').next().unwrap_or_default();
        if programs::on_path(name).is_none() {
            eprintln!("left out: {name} is not installed");
            continue;
        }
        shell_echoes(&browser, &format!("-{name}")).await;
        browser.type_text(&format!("{command} file\n")).await;
        first_row(&browser, "line 1 ").await;
        guesses(&browser).await;
        browser.type_text(keys).await;
        first_row(&browser, "line 6 ").await;
        // The same again, now that the first keys have been answered.
        browser.type_text(keys).await;
        first_row(&browser, "line 11 ").await;
        assert_eq!(guesses(&browser).await, "", "{name} shows none of its keys, but the page did");
        browser.picture(&format!("fullscreen-{name}")).await;
        browser.type_text(end).await;
        browser.shows(&format!("p> {command} file")).await;
    }
    shell_echoes(&browser, "-more").await;
    browser.close().await;
}
