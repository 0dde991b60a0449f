//! From a program's question in a pane to a click in the inbox, and back into the pane: box, gateway and page at once.

use berth_tests::attention::{pane_number, shell, shows, type_in, wait_for_tap};
use berth_tests::{Browser, Stack, wait};

/// The pane that asks: the template's shell.
const PANE: u32 = 2;

#[tokio::test]
async fn a_program_asks_and_a_click_in_the_inbox_answers_it() {
    let stack = Stack::start().await;
    let (client, session) = stack.client_and_session("work").await;
    shell(&client, &session, PANE).await;
    wait_for_tap(&stack, pane_number(&stack, &session, PANE)).await;
    let browser = Browser::open(1100, 800).await;
    browser.goto(&stack.sign_in_link()).await;
    browser.state("box-state", "online", wait::PATIENCE).await;

    let script = "clear; printf 'Overwrite the file? [y/N] '; read answer; echo they-said-$answer\n";
    type_in(&client, &session, PANE, script).await;
    browser.state("bell", "1", wait::PATIENCE * 2).await;
    browser.css("[data-testid='session-state'][data-activity='waiting_for_approval']").await;
    browser.picture("board-asked").await;
    browser.press("bell").await;
    browser.css("[data-choice='approve']").await.click().await.unwrap();
    shows(&client, &session, PANE, "they-said-y").await;
    browser.css("[data-testid='inbox-over']").await;

    // Answered in the terminal, the next one leaves the inbox by itself.
    type_in(&client, &session, PANE, &script.replace("they", "then")).await;
    browser.css("[data-choice='deny']").await;
    type_in(&client, &session, PANE, "n\n").await;
    shows(&client, &session, PANE, "then-said-n").await;
    wait::until("nothing to be unread", async || {
        (client.get("/notifications").await["unread"] == 0).then_some(())
    })
    .await;
    browser.picture("inbox-answered-elsewhere").await;
    browser.close().await;
}
