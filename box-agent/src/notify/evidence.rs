//! What a tap's report is evidence of.

use super::patterns::Patterns;
use super::signal::Signal;
use super::tap::report::Report;

/// The pieces of evidence in a report, in the order in which they are to be thought of. The bell is apart: whether it
/// counts may have to be asked first.
#[must_use]
pub fn evidence(report: Report, patterns: &Patterns) -> (Vec<Signal>, Option<Signal>) {
    let mut signals = Vec::new();
    // A change that means nothing ends what the title before it meant.
    signals.extend(report.title.map(|title| Signal::Title(patterns.title(&title))));
    signals.extend(report.progress.map(Signal::Progress));
    // The screen before what is said beside it: a program that rings has drawn its question, mostly.
    signals.extend(report.look.map(|look| Signal::Screen(patterns.see(&look))));
    let notice = |text: String| Signal::Notice { meaning: patterns.notice(&text), text };
    signals.extend(report.notices.into_iter().map(notice));
    if report.printed > 0 {
        signals.push(Signal::Output);
    }
    let bell = (report.bells > 0).then_some(Signal::Bell { lone: report.lone && !report.followed });
    (signals, bell)
}
