use futures_util::FutureExt;

use berth_protocol::terminal::{MAX_PRESENT, Present};

use super::lease::GRACE;
use super::state::{STALE, TYPING};
use super::*;

fn sitter(client: &ClientId) -> Sitter {
    Sitter {
        client: client.clone(),
        name: "owner".into(),
        device: "Chrome on Linux".into(),
        role: Role::Editor,
        page: true,
        sized: true,
    }
}

fn size(columns: u16, rows: u16) -> Size {
    Size::clamped(columns.into(), rows.into())
}

/// A seat whose terminal has begun with a size, and has taken note of everything so far.
fn seated(room: &Room, sitter: Sitter, wants: Size) -> (Seat, Size) {
    let seat = room.sit(sitter, Instant::now());
    let given = seat.wants(wants);
    heard(&seat);
    (seat, given)
}

/// Whether the seat's terminal was woken since the last time.
fn heard(seat: &Seat) -> bool {
    std::future::poll_fn(|cx| seat.poll_news(cx)).now_or_never().is_some()
}

fn lease(seat: &Seat) -> (u16, u16, bool) {
    match seat.news().lease {
        Some(FromRelay::Lease { columns, rows, mine }) => (columns, rows, mine),
        other => panic!("no lease: {other:?}"),
    }
}

fn present(seat: &Seat) -> Vec<Present> {
    match seat.news().presence {
        FromRelay::Presence { clients } => clients,
        other => panic!("no presence: {other:?}"),
    }
}

const DESK: (u16, u16) = (120, 40);
const PHONE: (u16, u16) = (50, 20);

/// A desk that came first, and a phone.
fn desk_and_phone(room: &Room) -> (Seat, Seat) {
    let (desk, given) = seated(room, sitter(&ClientId::random()), size(DESK.0, DESK.1));
    assert_eq!(given, size(DESK.0, DESK.1));
    let (phone, given) = seated(room, sitter(&ClientId::random()), size(PHONE.0, PHONE.1));
    assert_eq!(given, size(DESK.0, DESK.1), "the phone's box was told the phone's size");
    heard(&desk);
    (desk, phone)
}

#[tokio::test(start_paused = true)]
async fn a_phone_that_joins_gets_the_size_of_the_desk() {
    let room = Room::default();
    let (desk, phone) = desk_and_phone(&room);
    assert_eq!(lease(&desk), (120, 40, true));
    assert_eq!(lease(&phone), (120, 40, false));
    assert_eq!(phone.wants(size(20, 50)), size(DESK.0, DESK.1), "turning the phone changes nothing");
    assert!(!heard(&desk));
    assert_eq!(desk.wants(size(130, 41)), size(130, 41));
    assert!(heard(&phone), "the phone was not told the desk's new size");
    assert_eq!(phone.news().size, Some(size(130, 41)));
    assert_eq!(phone.news().size, None, "its box was told twice");
}

#[tokio::test(start_paused = true)]
async fn taking_the_lease_is_explicit_and_reverts() {
    let room = Room::default();
    let (desk, phone) = desk_and_phone(&room);
    phone.lead(true);
    assert!(heard(&desk) && heard(&phone));
    assert_eq!((desk.news().size, phone.news().size), (Some(size(50, 20)), Some(size(50, 20))));
    assert_eq!((lease(&desk), lease(&phone)), ((50, 20, false), (50, 20, true)));
    phone.lead(false);
    assert_eq!(desk.news().size, Some(size(120, 40)));
    phone.lead(true);
    drop(phone);
    tokio::time::advance(GRACE).await;
    room.sweep(Instant::now());
    assert_eq!(lease(&desk), (120, 40, true), "the phone left and kept the size");
}

#[tokio::test(start_paused = true)]
async fn a_reconnect_costs_the_size_of_nobody() {
    let room = Room::default();
    let client = ClientId::random();
    let (desk, _) = seated(&room, sitter(&client), size(120, 40));
    let (phone, _) = seated(&room, sitter(&ClientId::random()), size(50, 20));
    // The new connection comes before the old one is known to be dead, and tells its size later.
    let back = room.sit(sitter(&client), Instant::now());
    drop(desk);
    assert_eq!(lease(&phone), (120, 40, false));
    tokio::time::advance(2 * GRACE).await;
    room.sweep(Instant::now());
    assert_eq!(back.wants(size(121, 40)), size(121, 40));
    assert_eq!(lease(&phone), (121, 40, false));
    drop(back);
    tokio::time::advance(GRACE / 2).await;
    room.sweep(Instant::now());
    assert_eq!(lease(&phone), (121, 40, false));
    let (back, given) = seated(&room, sitter(&client), size(122, 40));
    assert_eq!(given, size(122, 40));
    assert_eq!(lease(&back), (122, 40, true));
}

#[tokio::test(start_paused = true)]
async fn who_watches_never_decides() {
    let room = Room::default();
    let viewer = |client| Sitter { role: Role::Viewer, ..sitter(&client) };
    let (watcher, given) = seated(&room, viewer(ClientId::random()), size(30, 10));
    assert_eq!(given, size(30, 10), "alone, with nothing to go by, it sees what fits");
    assert!(!room.is_led());
    watcher.lead(true);
    assert!(!room.is_led(), "a viewer took the lease");
    let (desk, given) = seated(&room, sitter(&ClientId::random()), size(120, 40));
    assert_eq!(given, size(120, 40));
    assert_eq!((watcher.news().size, lease(&watcher)), (Some(size(120, 40)), (120, 40, false)));
    drop(desk);
    tokio::time::advance(GRACE).await;
    room.sweep(Instant::now());
    assert!(!room.is_led());
    assert_eq!(lease(&watcher), (120, 40, false), "without the desk the size went back and forth");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_can_not_follow_keeps_its_own_size() {
    let room = Room::default();
    let (desk, _) = seated(&room, sitter(&ClientId::random()), size(120, 40));
    let stock = Sitter { page: false, sized: false, ..sitter(&ClientId::random()) };
    let (stock, given) = seated(&room, stock, size(80, 24));
    assert_eq!(given, size(80, 24));
    assert_eq!(lease(&desk), (120, 40, true));
    drop(desk);
    tokio::time::advance(GRACE).await;
    room.sweep(Instant::now());
    assert!(room.is_led(), "nobody else is there whose size could count");
    assert_eq!(stock.wants(size(81, 24)), size(81, 24));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_can_not_follow_is_counted_as_long_as_it_leads() {
    let room = Room::default();
    let stock = Sitter { page: false, ..sitter(&ClientId::random()) };
    let (stock, _) = seated(&room, stock, size(80, 24));
    assert_eq!((stock.counts(), stock.news().counts), (true, None));
    let (page, _) = seated(&room, sitter(&ClientId::random()), size(120, 40));
    assert_eq!(stock.news().counts, None, "a page that joins takes nothing");
    page.lead(true);
    assert!(heard(&stock));
    assert_eq!(stock.news().counts, Some(false));
    assert_eq!((stock.counts(), stock.news().counts), (false, None), "it was told twice");
    assert_eq!(page.news().counts, None, "a page follows what it is told");
    page.lead(false);
    assert_eq!(stock.news().counts, Some(true));
    page.lead(true);
    assert_eq!(stock.news().counts, Some(false));
    drop(page);
    tokio::time::advance(GRACE).await;
    room.sweep(Instant::now());
    assert_eq!(stock.news().counts, Some(true), "the page left and kept the size");
}

#[tokio::test(start_paused = true)]
async fn a_new_name_is_told_once_to_those_who_show_it() {
    let room = Room::default();
    let (stock, _) = seated(&room, Sitter { page: false, ..sitter(&ClientId::random()) }, size(80, 24));
    let (page, _) = seated(&room, sitter(&ClientId::random()), size(120, 40));
    assert_eq!(stock.news().title, None);
    room.rename("new");
    assert!(heard(&stock));
    assert_eq!((stock.news().title.as_deref(), stock.news().title), (Some("new"), None));
    assert_eq!(page.news().title, None);
}

#[tokio::test(start_paused = true)]
async fn everybody_knows_who_is_there_and_what_they_do() {
    let room = Room::default();
    let (desk, phone) = desk_and_phone(&room);
    let seen: Vec<_> = present(&phone).iter().map(|one| (one.activity, one.me, one.leads)).collect();
    assert_eq!(seen, [(Activity::Watching, false, true), (Activity::Watching, true, false)]);

    desk.typed(Instant::now());
    assert!(heard(&phone), "typing was not told");
    assert_eq!(present(&phone)[0].activity, Activity::Typing);
    desk.typed(Instant::now());
    assert!(!heard(&phone), "every key was told");
    tokio::time::advance(TYPING).await;
    room.sweep(Instant::now());
    assert!(heard(&phone), "that it stopped was not told");
    assert_eq!(present(&phone)[0].activity, Activity::Watching);

    desk.hidden(true, Instant::now());
    assert_eq!(present(&phone)[0].activity, Activity::Away);
    desk.hidden(false, Instant::now());
    assert_eq!(present(&phone)[0].activity, Activity::Watching);
    tokio::time::advance(STALE).await;
    room.sweep(Instant::now());
    assert_eq!(present(&phone)[0].activity, Activity::Away, "it says nothing any more");

    drop(desk);
    assert!(heard(&phone));
    assert_eq!(present(&phone).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_with_two_connections_is_one() {
    let room = Room::default();
    let client = ClientId::random();
    let (_old, _) = seated(&room, sitter(&client), size(80, 24));
    let (new, _) = seated(&room, sitter(&client), size(80, 24));
    assert_eq!(present(&new).len(), 1);
    assert!(present(&new)[0].me);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_is_told_in_part() {
    let room = Room::default();
    let seats: Vec<_> =
        (0..=MAX_PRESENT).map(|_| seated(&room, sitter(&ClientId::random()), size(80, 24)).0).collect();
    assert_eq!(present(&seats[0]).len(), MAX_PRESENT);
}

#[test]
fn a_crowd_is_told_together_who_comes_and_goes() {
    let room = Room::default();
    let mut seats: Vec<Seat> =
        (0..20).map(|_| seated(&room, sitter(&ClientId::random()), size(80, 24)).0).collect();
    room.sweep(Instant::now());
    seats.iter().for_each(|seat| assert!(heard(seat), "it is told who came"));

    let one_more = room.sit(sitter(&ClientId::random()), Instant::now());
    assert!(heard(&one_more), "who comes is told at once who is there");
    assert_eq!(present(&one_more).len(), 21);
    drop(seats.pop());
    seats[5].typed(Instant::now());
    assert!(!seats.iter().any(heard), "a crowd is not told each of it");
    room.sweep(Instant::now());
    assert!(seats.iter().all(heard));
    assert_eq!(present(&seats[3]).len(), 20);
    assert!(!seats.iter().any(heard), "there is nothing new");

    // Whose screen decides is told at once.
    seats[7].lead(true);
    assert!(seats.iter().all(heard));
}
