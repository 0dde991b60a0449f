//! Types an answer, if the pane still shows the question that was read.

use std::sync::Arc;

use berth_protocol::attention::{Answer, Choice, MAX_ANSWER_TEXT, Question};
use berth_protocol::ids::SessionId;
use berth_protocol::keys::Key;

use super::intake::Intake;
use super::patterns::Patterns;
use crate::terminal::panes::PaneError;
use crate::terminal::tmux::Tmux;

/// Why an answer was not typed.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The screen shows something else.
    #[error("the pane no longer shows the question, so nothing was typed: look at the session")]
    QuestionGone,
    /// The question has no such choice, or takes no words.
    #[error("the question offers no such answer")]
    ChoiceUnknown,
    /// The answer breaks a rule.
    #[error("an answer is a choice or a text of at most {MAX_ANSWER_TEXT} bytes without control characters")]
    Invalid,
    /// The pane can't be typed into.
    #[error(transparent)]
    Pane(#[from] PaneError),
}

/// What answers are given with.
#[derive(Debug, Clone)]
pub struct Answers {
    /// The server that has the panes.
    pub tmux: Tmux,
    /// What questions look like.
    pub patterns: Arc<Patterns>,
    /// Who is told that one was answered.
    pub intake: Intake,
}

impl Answers {
    /// Types an answer.
    ///
    /// # Errors
    /// [`AnswerError`]; then nothing was typed, unless it says that tmux failed.
    pub async fn give(&self, session: &SessionId, answer: &Answer) -> Result<(), AnswerError> {
        check(answer)?;
        let pane = answer.pane.id;
        let glance = self.tmux.glance(pane).await.map_err(PaneError::from)?;
        let glance = glance.filter(|glance| glance.session == *session).ok_or(PaneError::PaneUnknown)?;
        // What is on the screen now, and not what was: also how a choice is reached is read from it.
        let prompt = self.patterns.see(&glance.look()).prompt.ok_or(AnswerError::QuestionGone)?;
        if prompt.question.fingerprint != answer.fingerprint {
            return Err(AnswerError::QuestionGone);
        }
        let (text, keys) = typed(&prompt.question, answer)?;
        self.tmux.type_into(pane, &text, keys).await?;
        self.intake.answered(pane, answer.notification.clone()).await;
        Ok(())
    }
}

fn check(answer: &Answer) -> Result<(), AnswerError> {
    let sound = |text: &String| text.len() <= MAX_ANSWER_TEXT && !text.chars().any(char::is_control);
    let one = answer.choice.is_some() != answer.text.is_some();
    if one && answer.text.iter().all(sound) { Ok(()) } else { Err(AnswerError::Invalid) }
}

fn typed(question: &Question, answer: &Answer) -> Result<(String, Vec<Key>), AnswerError> {
    if let Some(text) = &answer.text {
        let enter = "Enter".parse().map_err(|_| AnswerError::Invalid)?;
        return if question.free_text {
            Ok((text.clone(), vec![enter]))
        } else {
            Err(AnswerError::ChoiceUnknown)
        };
    }
    let wanted = |choice: &&Choice| Some(&choice.id) == answer.choice.as_ref();
    let choice = question.choices.iter().find(wanted).ok_or(AnswerError::ChoiceUnknown)?;
    Ok((choice.text.clone(), choice.keys.clone()))
}

#[cfg(test)]
mod tests {
    use berth_protocol::attention::PaneRef;
    use berth_protocol::ids::NotificationId;

    use super::*;

    fn answer(choice: Option<&str>, text: Option<&str>) -> Answer {
        Answer {
            notification: NotificationId::random(),
            pane: PaneRef { id: 1, window: 0, index: 0 },
            fingerprint: "f".into(),
            choice: choice.map(str::to_owned),
            text: text.map(str::to_owned),
        }
    }

    #[test]
    fn an_answer_is_one_choice_or_some_words() {
        assert!(check(&answer(Some("approve"), None)).is_ok() && check(&answer(None, Some("yes"))).is_ok());
        let long = "x".repeat(MAX_ANSWER_TEXT + 1);
        for (choice, text) in [
            (None, None),
            (Some("a"), Some("b")),
            (None, Some("a\nb")),
            (None, Some("\u{1b}[")),
            (None, Some(&long)),
        ] {
            assert!(matches!(check(&answer(choice, text)), Err(AnswerError::Invalid)));
        }
    }

    #[test]
    fn only_what_the_question_offers_is_typed() {
        let choice = Choice { id: "approve".into(), label: "Yes".into(), keys: vec![], text: "1".into() };
        let question =
            |free_text| Question { fingerprint: "f".into(), choices: vec![choice.clone()], free_text };
        assert_eq!(typed(&question(false), &answer(Some("approve"), None)).unwrap(), ("1".into(), vec![]));
        let (text, keys) = typed(&question(true), &answer(None, Some("words"))).unwrap();
        assert_eq!((text.as_str(), keys[0].as_str()), ("words", "Enter"));
        for (free, choice, text) in [(false, None, Some("words")), (true, Some("deny"), None)] {
            let outcome = typed(&question(free), &answer(choice, text));
            assert!(matches!(outcome, Err(AnswerError::ChoiceUnknown)));
        }
    }
}
