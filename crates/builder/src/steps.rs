//! What a build needs of whoever has containers: commands run, files changed, files looked at.

use std::any::Any;
use std::future::Future;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use bytes::Bytes;
use onggi_image::Layer;
use onggi_store::ChainId;
use tokio::sync::mpsc;

use crate::files::Tree;
use crate::{CopyFiles, Error, Exec, Input};

/// The engine, as builds see it.
pub trait Steps: Send + Sync + 'static {
    /// Runs a command on the files of `below`; the layer of what it changed, or none. Ends with the future: when that is
    /// dropped, so is what runs.
    ///
    /// # Errors
    /// [`Error::exit`] where it did not succeed; what could not be mounted or started.
    fn run(
        &self,
        below: Option<&ChainId>,
        command: &Command<'_>,
        output: &Output,
    ) -> impl Future<Output = Result<Option<Layer>, Error>> + Send;

    /// Has `change` change the files of `on`; the layer of that, on top of `on.parent`, or none.
    ///
    /// # Errors
    /// What `change` says, and the disk.
    fn change(
        &self,
        on: Ground<'_>,
        time: Option<i64>,
        change: impl FnOnce(BorrowedFd<'_>) -> Result<(), Error> + Send + 'static,
    ) -> impl Future<Output = Result<Option<Layer>, Error>> + Send;

    /// The files of `top` and all below it, to be read.
    ///
    /// # Errors
    /// What the disk says.
    fn view(
        &self,
        top: Option<&ChainId>,
        name: &str,
    ) -> impl Future<Output = Result<View, Error>> + Send;

    /// What ADD takes from the web or a repository: the files, and how they are copied.
    ///
    /// # Errors
    /// What cannot be had, and what is not what `--checksum` says.
    fn fetch(
        &self,
        source: &str,
        copy: &CopyFiles,
    ) -> impl Future<Output = Result<(View, CopyFiles), Error>> + Send;
}

/// What a change is made on.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The layers whose files it sees, and changes.
    pub seen: Option<&'a ChainId>,
    /// The layers that what it writes lies on.
    pub parent: Option<&'a ChainId>,
}

impl<'a> Ground<'a> {
    /// The layers before.
    pub(crate) fn of(below: Option<&'a ChainId>) -> Self {
        Self {
            seen: below,
            parent: below,
        }
    }
}

/// Files that are there as long as this is.
#[derive(Clone)]
pub struct View {
    tree: Arc<Tree>,
    _keep: Arc<dyn Any + Send + Sync>,
}

impl View {
    /// Of a tree that needs `keep`.
    pub fn new(tree: Tree, keep: impl Any + Send + Sync) -> Self {
        Self {
            tree: Arc::new(tree),
            _keep: Arc::new(keep),
        }
    }

    /// The files.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }
}

/// A command, and what it sees besides the files it works on.
#[derive(Debug)]
pub struct Command<'a> {
    /// It.
    pub exec: &'a Exec,
    /// Where the files of its mounts come from, one for each.
    pub sources: Vec<Source>,
    /// The time that all it writes is to have, in seconds since the epoch.
    pub time: Option<i64>,
}

/// Where the files of a mount come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nowhere.
    Nothing,
    /// A context of the build; the main one without a name.
    Context(Option<String>),
    /// Layers, with all below.
    Layers(Option<ChainId>),
}

impl Source {
    /// What an input is, once the steps before are done.
    pub(crate) fn of(input: Option<&Input>, top: impl Fn(usize) -> Option<ChainId>) -> Self {
        match input {
            None | Some(Input::Nothing) => Self::Nothing,
            Some(Input::Context(name)) => Self::Context(name.clone()),
            Some(Input::Step(step)) => Self::Layers(top(*step)),
        }
    }
}

/// Where the news of one step goes.
#[derive(Clone, Debug)]
pub struct Output {
    pub(crate) step: usize,
    pub(crate) news: mpsc::Sender<News>,
}

impl Output {
    /// Passes on what a command wrote. Waits for a client that is slow.
    pub async fn write(&self, stream: u8, data: Bytes) {
        let step = self.step;
        self.tell(News::Output { step, stream, data }).await;
    }

    /// Tells in which container the step runs.
    pub async fn runs_in(&self, container: String) {
        let step = self.step;
        self.tell(News::Running { step, container }).await;
    }

    pub(crate) async fn tell(&self, news: News) {
        // Whoever does not listen any more is about to end the build, or does not care.
        let _ = self.news.send(news).await;
    }
}

/// What happens in a build. Steps are numbered as in the plan.
#[derive(Clone, Debug)]
pub enum News {
    /// A step begins.
    Started {
        /// Which.
        step: usize,
    },
    /// It runs in this container.
    Running {
        /// Which.
        step: usize,
        /// The container's id.
        container: String,
    },
    /// Its command wrote something.
    Output {
        /// Which.
        step: usize,
        /// 1 for stdout, 2 for stderr.
        stream: u8,
        /// What.
        data: Bytes,
    },
    /// It is done.
    Done {
        /// Which.
        step: usize,
        /// Whether it was known what comes out, so that nothing was done.
        cached: bool,
        /// The layer on top, now.
        top: Option<ChainId>,
        /// Why it failed, if it did.
        error: Option<String>,
    },
}
