//! What the tests share: an outlet that keeps what it is given, and a wire that writes offset and data.

use std::sync::{Arc, Mutex};
use vaiven::Message;
use vaiven_hub::{
    Batch, ChannelName, Delivery, Ending, Hub, HubConfig, MemoryBroker, NewPublication, Outlet,
    PresenceChange, Publication, SubscribeOptions, Subscription, Wire,
};

/// Keeps messages up to a bound, and says how it was ended.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) messages: Mutex<Vec<String>>,
    pub(crate) ended: Mutex<Option<Ending>>,
    /// How many messages it takes at all.
    pub(crate) room: Mutex<Option<usize>>,
    /// Whether something waits in it, as in a socket's outbox.
    pub(crate) busy: Mutex<bool>,
}

impl Kept {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn push(&self, batch: &Batch) {
        let texts =
            batch.frames().messages().iter().map(|message| message.message().as_text().unwrap().to_owned());
        self.messages.lock().unwrap().extend(texts);
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.messages.lock().unwrap())
    }

    pub(crate) fn ended(&self) -> Option<Ending> {
        *self.ended.lock().unwrap()
    }
}

impl Outlet for Kept {
    fn try_deliver(&self, batch: &Batch) -> Delivery {
        let waiting = self.messages.lock().unwrap().len();
        if self.room.lock().unwrap().is_some_and(|room| waiting + batch.frames().messages().len() > room) {
            return Delivery::Full;
        }
        self.push(batch);
        Delivery::Taken
    }

    fn is_idle(&self) -> bool {
        !*self.busy.lock().unwrap()
    }

    fn end(&self, _channel: &ChannelName, ending: Ending) {
        *self.ended.lock().unwrap() = Some(ending);
    }
}

/// Writes `offset key=data`, and `+client -client count` for presence.
#[derive(Debug)]
pub(crate) struct Plain;

impl Wire for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn publication(&self, _channel: &ChannelName, publication: &Publication) -> Vec<Message> {
        let data = String::from_utf8(publication.data.bytes().to_vec()).unwrap();
        assert!(data != "panic", "the wire panics when it is told to");
        let offset = publication.position.as_ref().map_or(String::new(), |at| format!("{} ", at.offset));
        let removed = if publication.removed { "-" } else { "" };
        let key = publication.key.as_ref().map_or(String::new(), |key| format!("{removed}{key}="));
        vec![Message::text(format!("{offset}{key}{data}"))]
    }

    fn presence(&self, _channel: &ChannelName, change: &PresenceChange) -> Vec<Message> {
        let names = |sign: char, members: &[vaiven_hub::Member]| {
            let mut names: Vec<_> =
                members.iter().map(|member| format!("{sign}{} ", member.client)).collect();
            names.sort();
            names.concat()
        };
        vec![Message::text(format!(
            "{}{}{}",
            names('+', &change.joined),
            names('-', &change.left),
            change.count
        ))]
    }
}

pub(crate) fn hub(config: HubConfig) -> Hub {
    Hub::new(config, Arc::new(MemoryBroker::new()))
}

pub(crate) fn name(name: &str) -> ChannelName {
    ChannelName::parse(name).unwrap()
}

pub(crate) fn text(data: &str) -> NewPublication {
    NewPublication::json(data.to_owned())
}

pub(crate) fn keyed(key: &str, data: &str) -> NewPublication {
    NewPublication { key: Some(key.into()), ..text(data) }
}

/// Subscribes and replays into the outlet.
pub(crate) async fn join(hub: &Hub, channel: &str, options: SubscribeOptions) -> (Subscription, Arc<Kept>) {
    let outlet = Kept::new();
    let mut subscription = hub.subscribe(&name(channel), options, outlet.clone(), &Plain).await.unwrap();
    while let Some(batch) = subscription.replay().await.unwrap() {
        outlet.push(&batch);
    }
    (subscription, outlet)
}

/// Lets everything happen that is due.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// A folder of its own for a test, removed with it.
pub(crate) struct Folder(std::path::PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("vaiven-hub-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
