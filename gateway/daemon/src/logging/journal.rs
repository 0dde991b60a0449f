//! Hands tracing events, with their own fields and those of the spans around them, to journald.
//!
//! `systemd-journal-logger` is a backend of the `log` crate; as such it would get tracing's fields only as
//! text inside the message. Here each field becomes a key-value of the record and so a field of the journal:
//! a span with `request_id` makes `journalctl REQUEST_ID=<id>` find all that was said within it.

use std::fmt::{self, Write};

use log::{Level, Log, Record};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// A layer over any `log` backend that understands key-values.
pub(super) struct JournalLayer<L> {
    backend: L,
}

impl<L> JournalLayer<L> {
    pub(super) fn new(backend: L) -> Self {
        Self { backend }
    }
}

/// Fields of an event or span, as text.
#[derive(Default)]
struct Fields {
    message: String,
    pairs: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a String does not fail.
            let _ = write!(self.message, "{value:?}");
        } else {
            self.pairs.push((field.name(), format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            self.pairs.push((field.name(), value.to_owned()));
        }
    }
}

impl<S, L> Layer<S> for JournalLayer<L>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    L: Log + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &tracing::span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        if let Some(scope) = context.event_scope(event) {
            for span in scope.from_root() {
                if let Some(outer) = span.extensions().get::<Fields>() {
                    fields.pairs.extend(outer.pairs.iter().cloned());
                }
            }
        }
        event.record(&mut fields);
        let metadata = event.metadata();
        let level = match *metadata.level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        };
        let pairs: Vec<(&str, &str)> =
            fields.pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.backend.log(
            &Record::builder()
                .args(format_args!("{}", fields.message))
                .level(level)
                .target(metadata.target())
                .module_path(metadata.module_path())
                .file(metadata.file())
                .line(metadata.line())
                .key_values(&pairs)
                .build(),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use log::kv::{Key, VisitSource};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// A message and its pairs.
    type Line = (String, Vec<String>);

    #[derive(Clone, Default)]
    struct Recorded(Arc<Mutex<Vec<Line>>>);

    struct Pairs(Vec<String>);

    impl<'kvs> VisitSource<'kvs> for Pairs {
        fn visit_pair(&mut self, key: Key<'kvs>, value: log::kv::Value<'kvs>) -> Result<(), log::kv::Error> {
            self.0.push(format!("{key}={value}"));
            Ok(())
        }
    }

    impl Log for Recorded {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &Record<'_>) {
            let mut pairs = Pairs(Vec::new());
            record.key_values().visit(&mut pairs).unwrap();
            self.0.lock().unwrap().push((record.args().to_string(), pairs.0));
        }

        fn flush(&self) {}
    }

    #[test]
    fn fields_of_the_event_and_of_the_spans_around_it_stay_fields() {
        let recorded = Recorded::default();
        let subscriber = tracing_subscriber::registry().with(JournalLayer::new(recorded.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("request", request_id = %"req-1", session = tracing::field::Empty);
            span.record("session", "ses-1");
            span.in_scope(|| tracing::info!(bytes = 7, "relayed {}", "well"));
        });
        let expected = vec!["request_id=req-1".to_owned(), "session=ses-1".into(), "bytes=7".into()];
        assert_eq!(*recorded.0.lock().unwrap(), [("relayed well".to_owned(), expected)]);
    }
}
