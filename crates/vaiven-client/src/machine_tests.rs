//! The machine played through, with a server that is a row of JSON values.

use super::*;
use serde_json::{Value, json};

/// A machine, its time, and the server's side of its connection.
struct Scene {
    machine: Machine,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        let now = Instant::now();
        Self { machine: Machine::new(now, "0123456789abcdef".to_owned(), 1), now }
    }

    /// One that is connected and welcomed.
    fn live() -> Self {
        let mut scene = Self::new();
        scene.connect();
        scene
    }

    fn connect(&mut self) {
        assert_eq!(self.machine.task(self.now), Task::Connect);
        self.machine.opened(self.now, None);
        let connect = self.sent();
        assert_eq!(connect["type"], "connect");
        self.hear(&json!({"type": "welcome", "id": connect["id"], "client": "me", "window": 60_000, "ping": 25_000}));
    }

    #[track_caller]
    fn sent(&mut self) -> Value {
        self.maybe_sent().expect("something is sent")
    }

    fn maybe_sent(&mut self) -> Option<Value> {
        let message = self.machine.next_message(self.now)?;
        Some(serde_json::from_slice(message.as_bytes()).expect("it is JSON"))
    }

    fn hear(&mut self, message: &Value) {
        self.machine.received(self.now, &message.to_string().into());
    }

    fn publish(&mut self, data: &str) -> oneshot::Receiver<Result<Published, Error>> {
        let (reply, answer) = oneshot::channel();
        self.machine.publish("sala", data.into(), reply);
        answer
    }

    fn subscribe(&mut self) -> oneshot::Receiver<Result<(), Error>> {
        let (first, answer) = oneshot::channel();
        self.machine.subscribe("sala", Wanted { last: 5, presence: false }, first);
        answer
    }

    fn lose(&mut self) {
        self.machine.ended(self.now, 1006, "lost", None);
        let Task::Wait(Some(until)) = self.machine.task(self.now) else { panic!("it waits") };
        self.now = until;
    }

    fn next_event(&mut self) -> Option<Event> {
        self.machine.channel("sala")?.pop().map(|(event, _)| event)
    }
}

#[test]
fn publications_are_sent_again_under_their_numbers_until_they_are_acknowledged() {
    let mut scene = Scene::live();
    let mut answers = [scene.publish("a"), scene.publish("b"), scene.publish("c")];
    let sent = [scene.sent(), scene.sent(), scene.sent()];
    assert_eq!(sent.each_ref().map(|sent| sent["seq"].as_u64()), [Some(1), Some(2), Some(3)]);
    scene.hear(&json!({"type": "ok", "id": sent[1]["id"], "epoch": "e", "offset": 7}));
    let position = Some(Position { epoch: "e".to_owned(), offset: 7 });
    assert_eq!(answers[1].try_recv(), Ok(Ok(Published { position, duplicate: false })));

    scene.lose();
    scene.connect();
    let again = [scene.sent(), scene.sent()];
    assert_eq!(
        again.each_ref().map(|sent| (&sent["seq"], &sent["data"])),
        [(&json!(1), &json!("a")), (&json!(3), &json!("c"))]
    );
    assert_eq!(scene.maybe_sent(), None);
    scene.hear(&json!({"type": "ok", "id": again[0]["id"], "epoch": "e", "offset": 6, "duplicate": true}));
    assert!(matches!(answers[0].try_recv(), Ok(Ok(Published { duplicate: true, .. }))));
}

#[test]
fn what_the_server_may_have_forgotten_is_uncertain_and_not_sent_again() {
    let mut scene = Scene::live();
    let mut sent = scene.publish("sent");
    scene.sent();
    scene.lose();
    let mut waiting = scene.publish("never sent");
    scene.now += Duration::from_secs(61);
    scene.connect();
    assert_eq!(sent.try_recv(), Ok(Err(Error::Uncertain)));
    assert_eq!(scene.sent()["data"], "never sent");
    assert!(waiting.try_recv().is_err(), "it waits for its answer");
}

#[test]
fn a_refusal_says_nothing_of_what_an_earlier_connection_took_along() {
    for (code, is_certain) in
        [("unavailable", false), ("forbidden", false), ("rate", false), ("too_large", true)]
    {
        let mut scene = Scene::live();
        let mut repeated = scene.publish("repeated");
        scene.sent();
        scene.lose();
        let mut first = scene.publish("sent for the first time");
        scene.connect();
        for (answer, expects_refusal) in [(&mut repeated, is_certain), (&mut first, true)] {
            let id = scene.sent()["id"].clone();
            scene.hear(&json!({"type": "error", "id": id, "code": code, "message": "no"}));
            let told = answer.try_recv().expect("it is answered").expect_err("it was refused");
            assert_eq!(told != Error::Uncertain, expects_refusal, "{code}: {told:?}");
        }
    }
}

#[test]
fn what_went_to_a_channel_that_keeps_nothing_is_not_sent_twice() {
    let mut scene = Scene::live();
    let mut first = scene.publish("first");
    let sent = scene.sent();
    // The client has no subscription that would tell it of the contract: the answer does.
    scene.hear(&json!({"type": "ok", "id": sent["id"]}));
    assert_eq!(first.try_recv(), Ok(Ok(Published { position: None, duplicate: false })));
    let mut second = scene.publish("second");
    scene.sent();
    scene.lose();
    assert_eq!(second.try_recv(), Ok(Err(Error::Uncertain)));
    scene.connect();
    assert_eq!(scene.maybe_sent(), None);
}

#[test]
fn an_ephemeral_publication_is_not_sent_twice() {
    let mut scene = Scene::live();
    let (reply, mut answer) = oneshot::channel();
    scene.machine.publish("sala", NewPublication::new("typing").ephemeral(), reply);
    assert_eq!(scene.sent()["seq"], Value::Null);
    scene.lose();
    assert_eq!(answer.try_recv(), Ok(Err(Error::Uncertain)));
    scene.connect();
    assert_eq!(scene.maybe_sent(), None);
}

#[test]
fn a_subscription_goes_on_where_it_stopped() {
    let mut scene = Scene::live();
    let mut answer = scene.subscribe();
    let asked = scene.sent();
    assert_eq!((&asked["last"], &asked["since"]), (&json!(5), &Value::Null));
    scene.hear(&json!({"type": "subscribed", "id": asked["id"], "channel": "sala", "contract": "reliable",
        "epoch": "e", "offset": 3}));
    assert_eq!(answer.try_recv(), Ok(Ok(())));
    assert!(matches!(scene.next_event(), Some(Event::Subscribed { recovered: None, .. })));
    scene.hear(&json!({"type": "message", "channel": "sala", "offset": 4, "data": {"a": 1}, "time": 9}));
    let Some(Event::Publication(publication)) = scene.next_event() else { panic!("it arrived") };
    assert_eq!(publication.data.parse::<Value>(), Ok(json!({"a": 1})));

    scene.lose();
    scene.connect();
    let asked = scene.sent();
    assert_eq!(asked["since"], json!({"epoch": "e", "offset": 4}));
    scene.hear(&json!({"type": "subscribed", "id": asked["id"], "channel": "sala", "contract": "reliable",
        "epoch": "e", "offset": 4, "recovered": true, "missed": 1}));
    assert!(matches!(scene.next_event(), Some(Event::Subscribed { recovered: Some(true), missed: 1, .. })));
}

#[test]
fn a_gap_leads_to_a_new_subscription_from_before_it() {
    let mut scene = Scene::live();
    scene.subscribe();
    let asked = scene.sent();
    scene.hear(&json!({"type": "subscribed", "id": asked["id"], "channel": "sala", "contract": "reliable",
        "epoch": "e", "offset": 3}));
    scene.hear(&json!({"type": "message", "channel": "sala", "offset": 5, "data": 1, "time": 9}));
    assert_eq!(scene.sent()["type"], "unsubscribe");
    let asked = scene.sent();
    assert_eq!((&asked["type"], &asked["since"]["offset"]), (&json!("subscribe"), &json!(3)));
}

#[test]
fn binary_data_follow_their_object() {
    let mut scene = Scene::live();
    let (reply, _answer) = oneshot::channel();
    scene.machine.publish("sala", NewPublication::new(vec![0, 10, 255]), reply);
    let message = scene.machine.next_message(scene.now).expect("it is sent");
    let Message::Binary(bytes) = &message else { panic!("it is binary") };
    assert!(bytes.ends_with(b"}\n\x00\x0a\xff"), "{bytes:?}");
    scene.subscribe();
    let asked = scene.sent();
    scene.hear(&json!({"type": "subscribed", "id": asked["id"], "channel": "sala", "contract": "volatile"}));
    scene.next_event();
    let arrived = b"{\"type\":\"message\",\"channel\":\"sala\",\"time\":1}\n\x00\x0a".to_vec();
    scene.machine.received(scene.now, &arrived.into());
    let Some(Event::Publication(publication)) = scene.next_event() else { panic!("it arrived") };
    assert_eq!(publication.data, Data::Binary(vec![0, 10].into()));
}

#[test]
fn a_silent_server_is_left_and_a_stopping_one_obeyed() {
    let mut scene = Scene::live();
    let Task::Pump(until) = scene.machine.task(scene.now) else { panic!("it is connected") };
    assert_eq!(until - scene.now, Duration::from_secs(35));
    assert_eq!(scene.machine.task(until), Task::Disconnect);

    let mut scene = Scene::live();
    scene.hear(&json!({"type": "disconnect", "code": 1012, "reason": "restart", "retry": 4321}));
    let before = scene.now;
    scene.lose();
    assert_eq!(scene.now - before, Duration::from_millis(4321));
}

#[test]
fn a_retry_that_waits_for_room_lets_the_driver_sleep() {
    let mut scene = Scene::live();
    let _answer = scene.subscribe();
    let asked = scene.sent();
    scene.hear(
        &json!({"type": "error", "id": asked["id"], "code": "unavailable", "message": "no", "retry": 100}),
    );
    let due = scene.now + Duration::from_millis(100);
    assert_eq!(scene.machine.task(scene.now), Task::Pump(due));
    // The connection takes nothing more: the retry stays unsent.
    assert!(matches!(scene.machine.task(due), Task::Pump(until) if until > due));
    scene.now = due;
    assert_eq!(scene.sent()["type"], "subscribe");
}

/// A reader that was behind has caught up, and the channel is asked for again, when the end of the old subscription
/// arrives: the store failed while it was replayed.
#[test]
fn the_end_of_an_old_subscription_does_not_end_the_new_one() {
    let mut scene = Scene::live();
    let _answer = scene.subscribe();
    let asked = scene.sent();
    let subscribed = |id: &Value, offset: u64| json!({"type": "subscribed", "id": id, "channel": "sala", "contract": "reliable", "epoch": "e", "offset": offset});
    scene.hear(&subscribed(&asked["id"], 3));
    scene.hear(&json!({"type": "message", "channel": "sala", "offset": 5, "data": 1, "time": 9}));
    assert_eq!(scene.sent()["type"], "unsubscribe");
    let again = scene.sent();
    scene.hear(&json!({"type": "unsubscribed", "channel": "sala", "code": "unavailable", "message": "no"}));
    scene.hear(&subscribed(&again["id"], 3));
    scene.hear(&json!({"type": "message", "channel": "sala", "offset": 4, "data": 1, "time": 9}));
    let mut last = None;
    while let Some(event) = scene.next_event() {
        last = Some(event);
    }
    assert!(matches!(last, Some(Event::Publication(Publication { offset: Some(4), .. }))), "{last:?}");
}

#[test]
fn a_refused_token_is_not_shown_again() {
    let mut scene = Scene::new();
    for (token, goes_on) in [("old", true), ("new", true), ("new", false)] {
        assert_eq!(scene.machine.task(scene.now), Task::Connect);
        scene.machine.opened(scene.now, Some(token.to_owned()));
        assert_eq!(scene.machine.task(scene.now) == Task::Stop, !goes_on, "{token}");
        if goes_on {
            scene.hear(&json!({"type": "disconnect", "code": 3000, "reason": "expired"}));
            scene.lose();
        }
    }
}

#[test]
fn closing_fails_what_waits_and_says_of_which_it_is_unknown() {
    let mut scene = Scene::live();
    let mut sent = scene.publish("sent");
    scene.sent();
    let mut unsent = scene.publish("unsent");
    let mut subscribing = scene.subscribe();
    scene.machine.close("bye");
    assert_eq!(scene.machine.task(scene.now), Task::Disconnect);
    scene.machine.ended(scene.now, 1000, "bye", None);
    assert_eq!(scene.machine.task(scene.now), Task::Stop);
    assert_eq!(sent.try_recv(), Ok(Err(Error::Uncertain)));
    let closed = Error::Closed { reason: "bye".to_owned() };
    assert_eq!(unsent.try_recv(), Ok(Err(closed.clone())));
    assert_eq!(subscribing.try_recv(), Ok(Err(closed.clone())));
    assert_eq!(scene.publish("late").try_recv(), Ok(Err(closed)));
}

#[test]
fn nothing_that_a_server_says_makes_the_machine_panic() {
    let mut scene = Scene::live();
    scene.subscribe();
    let asked = scene.sent();
    scene.hear(&json!({"type": "subscribed", "id": asked["id"], "channel": "sala", "contract": "reliable",
        "epoch": "e", "offset": u64::MAX}));
    for text in [
        "",
        "null",
        "[]",
        "{}",
        "{\"type\":1}",
        "{\"type\":\"message\"}",
        "{\"type\":\"ok\",\"id\":99}",
        "{\"type\":\"error\",\"id\":99,\"code\":5}",
        "{\"type\":\"welcome\"}",
        "{\"type\":\"disconnect\",\"code\":99999999}",
        "{\"type\":\"subscribed\",\"channel\":\"sala\"}",
        "{\"type\":\"message\",\"channel\":\"sala\",\"offset\":18446744073709551615}",
        "{\"type\":\"history\"}",
        "{\"type\":\"__proto__\"}",
    ] {
        scene.machine.received(scene.now, &text.into());
        scene.machine.received(scene.now, &text.as_bytes().to_vec().into());
        scene.machine.received(scene.now, &format!("{text}\nx").into_bytes().into());
    }
}

#[test]
fn a_full_queue_leaves_no_faster_than_the_server_takes_it() {
    let mut scene = Scene::new();
    assert_eq!(scene.machine.task(scene.now), Task::Connect);
    scene.machine.opened(scene.now, None);
    let connect = scene.sent();
    let limits = json!({"message_rate": 100, "message_burst": 200});
    scene.hear(&json!({"type": "welcome", "id": connect["id"], "client": "me", "limits": limits}));
    let _answers: Vec<_> = (0..500).map(|_| scene.publish("x")).collect();
    let at_once = std::iter::from_fn(|| scene.maybe_sent()).count();
    assert_eq!(at_once, 100);
    let mut sent = at_once;
    let start = scene.now;
    while sent < 500 {
        let Task::Pump(until) = scene.machine.task(scene.now) else { panic!("it is connected") };
        scene.now = until;
        sent += std::iter::from_fn(|| scene.maybe_sent()).count();
    }
    let took = scene.now - start;
    assert!((4..7).contains(&took.as_secs()), "{took:?}");
}
