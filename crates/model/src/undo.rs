//! What to take back when a later step fails.

/// A list of closures, run in reverse on drop unless [`Undo::commit`] was called.
#[derive(Default)]
pub struct Undo<'a> {
    steps: Vec<Box<dyn FnOnce() + Send + 'a>>,
}

impl<'a> Undo<'a> {
    /// Nothing to take back yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what takes back the step just done.
    pub fn push(&mut self, step: impl FnOnce() + Send + 'a) {
        self.steps.push(Box::new(step));
    }

    /// All went well: nothing is taken back.
    pub fn commit(mut self) {
        self.steps.clear();
    }

    /// How many steps would be taken back.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is nothing to take back.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        while let Some(step) = self.steps.pop() {
            step();
        }
    }
}

impl std::fmt::Debug for Undo<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Undo({} steps)", self.steps.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn runs_in_reverse_unless_committed() {
        let ran = Mutex::new(Vec::new());
        {
            let mut undo = Undo::new();
            undo.push(|| ran.lock().unwrap().push(1));
            undo.push(|| ran.lock().unwrap().push(2));
        }
        assert_eq!(*ran.lock().unwrap(), [2, 1]);
        let mut undo = Undo::new();
        undo.push(|| ran.lock().unwrap().push(3));
        undo.commit();
        assert_eq!(*ran.lock().unwrap(), [2, 1]);
    }
}
