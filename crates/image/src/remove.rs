//! Untag or delete, by Docker's rules.

use onggi_model::{Digest, ImageRef};

use crate::Error;
use crate::images::{Image, Images};

/// How to remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Also images that stopped containers use or that have several names. Never those of running containers.
    pub force: bool,
    /// Keep parents without a name. Else those that nothing needs any more go along.
    pub no_prune: bool,
}

/// A container that uses an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// ID of the container.
    pub container: String,
    /// Whether it runs.
    pub running: bool,
}

/// What went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// A name: `busybox:latest`.
    Untagged(String),
    /// An image or a layer, by its digest.
    Deleted(String),
    /// The image it was made from, which nothing needed any more, by its ID.
    Parent(String),
}

/// What an image is to a removal.
#[derive(Clone, Copy)]
enum Part {
    Itself,
    Parent,
}

/// What goes when this name goes, and what is left: with the last tag of its repository the names by digest there go as
/// well.
fn one(name: &ImageRef, references: Vec<ImageRef>) -> (Vec<ImageRef>, Vec<ImageRef>) {
    let name = match name.digest() {
        Some(digest) => name.with_digest(digest.clone()),
        None => name.clone(),
    };
    let left: Vec<ImageRef> = references.into_iter().filter(|r| *r != name).collect();
    let same = |r: &ImageRef| r.name() == name.name();
    let mut gone = vec![name.clone()];
    if name.digest().is_some() || left.iter().any(|r| same(r) && r.digest().is_none()) {
        return (gone, left);
    }
    let (more, left): (Vec<_>, Vec<_>) = left.into_iter().partition(same);
    gone.extend(more);
    (gone, left)
}

impl Images {
    /// Whether other images here were made from this one.
    ///
    /// # Errors
    /// As the store's.
    pub fn has_children(&self, id: &Digest) -> Result<bool, Error> {
        Ok(!self.inner.store.children(id)?.is_empty())
    }

    /// Removes a name, and with the last name the image, unless others were made from it; or, by its ID, the image with all its names when they
    /// are of one repository. `in_use` says which containers use an image.
    ///
    /// # Errors
    /// NotFound; Conflict when a container or an image made from it is in the way, or several repositories name it.
    pub fn remove(
        &self,
        name: &str,
        options: RemoveOptions,
        in_use: &dyn Fn(&Digest) -> Vec<Use>,
    ) -> Result<Vec<Deleted>, Error> {
        let image = self.get(name)?;
        let references = image.references();
        let mut deleted = Vec::new();
        let mut unnamed = false;
        // Names that go with the image, in one change, and are no conflict.
        let mut going = Vec::new();
        if by_id(image.id(), name) {
            if single(&references) {
                self.conflict(&image, options.force, false, in_use)?;
                going = references;
            }
        } else {
            if !options.force
                && single(&references)
                && let Some(used) = in_use(image.id()).into_iter().next()
            {
                return Err(Error::ReferenceInUse {
                    reference: name.to_owned(),
                    container: short(&used.container),
                    image: image.id().short().to_owned(),
                });
            }
            let (gone, left) = one(&ImageRef::parse(name)?, references);
            let last = left.is_empty();
            if !last || self.conflict(&image, options.force, false, in_use).is_err() {
                self.untag(&gone, &mut deleted)?;
            } else {
                going = gone;
            }
            if !last {
                return Ok(deleted);
            }
            unnamed = true;
        }
        let whole = (Part::Itself, unnamed);
        let mut next = self.delete(&image, options, whole, &going, in_use, &mut deleted)?;
        // Parents were kept for their children: quietly, and never by force.
        let quietly = RemoveOptions {
            force: false,
            ..options
        };
        while let Some(parent) = next.filter(|_| !options.no_prune) {
            let Some(record) = self.inner.store.image(&parent)? else {
                break;
            };
            let parent = self.image(record)?;
            let part = (Part::Parent, true);
            next = self.delete(&parent, quietly, part, &[], in_use, &mut deleted)?;
        }
        Ok(deleted)
    }

    fn untag(&self, references: &[ImageRef], deleted: &mut Vec<Deleted>) -> Result<(), Error> {
        for reference in references {
            self.inner.store.untag(&reference.to_string())?;
            deleted.push(Deleted::Untagged(reference.familiar()));
        }
        Ok(())
    }

    /// Deletes the image with the names that are `going`, and says what it was made from.
    fn delete(
        &self,
        image: &Image,
        options: RemoveOptions,
        (part, unnamed): (Part, bool),
        going: &[ImageRef],
        in_use: &dyn Fn(&Digest) -> Vec<Use>,
        deleted: &mut Vec<Deleted>,
    ) -> Result<Option<Digest>, Error> {
        let Some(record) = self.inner.store.image(image.id())? else {
            return Ok(None);
        };
        let mut names = record.references.iter().chain(&record.repo_digests);
        let named = names.any(|name| !going.iter().any(|one| one.to_string() == *name));
        if let Err(error) = self.conflict(image, options.force, named, in_use) {
            self.untag(going, deleted)?;
            // The name was all that was asked for; the image stays for its containers and for those made from it.
            let needed = named || self.has_children(image.id())?;
            let quiet = unnamed && matches!(error, Error::InUse { used, .. } if needed || used);
            return if quiet { Ok(None) } else { Err(error) };
        }
        for name in record.references.iter().chain(&record.repo_digests) {
            let familiar = ImageRef::parse(name).map_or_else(|_| name.clone(), |r| r.familiar());
            deleted.push(Deleted::Untagged(familiar));
        }
        let removed = self.inner.store.remove_image(image.id())?;
        self.forget_config(image.id());
        let id = image.id().to_string();
        deleted.push(match part {
            Part::Itself => Deleted::Deleted(id),
            Part::Parent => Deleted::Parent(id),
        });
        deleted.extend(
            removed
                .layers
                .iter()
                .map(|id| Deleted::Deleted(id.to_string())),
        );
        Ok(removed.image.parent)
    }

    /// What stands against deleting an image. Images made from it always do.
    fn conflict(
        &self,
        image: &Image,
        force: bool,
        named: bool,
        in_use: &dyn Fn(&Digest) -> Vec<Use>,
    ) -> Result<(), Error> {
        if self.has_children(image.id())? {
            return Err(Error::InUse {
                image: image.id().short().to_owned(),
                hard: true,
                used: false,
                why: "image has dependent child images".to_owned(),
            });
        }
        conflict(image, force, named, in_use)
    }
}

/// Running containers always stand against deleting an image; names and stopped containers only without force.
fn conflict(
    image: &Image,
    force: bool,
    named: bool,
    in_use: &dyn Fn(&Digest) -> Vec<Use>,
) -> Result<(), Error> {
    let refuse = |hard, used, why| {
        Err(Error::InUse {
            image: image.id().short().to_owned(),
            hard,
            used,
            why,
        })
    };
    let uses = in_use(image.id());
    if let Some(running) = uses.iter().find(|u| u.running) {
        let why = format!(
            "image is being used by running container {}",
            short(&running.container)
        );
        return refuse(true, true, why);
    }
    if force {
        return Ok(());
    }
    if named {
        return refuse(
            false,
            false,
            "image is referenced in multiple repositories".to_owned(),
        );
    }
    if let Some(stopped) = uses.first() {
        let why = format!(
            "image is being used by stopped container {}",
            short(&stopped.container)
        );
        return refuse(false, true, why);
    }
    Ok(())
}

/// Whether the image was asked for by its ID, or the beginning of it.
fn by_id(id: &Digest, name: &str) -> bool {
    id.as_str().starts_with(name) || id.hex().starts_with(name)
}

/// Whether all names are of one repository and at most one of them is a tag.
fn single(references: &[ImageRef]) -> bool {
    if references.len() <= 1 {
        return true;
    }
    let tags: Vec<_> = references.iter().filter(|r| r.digest().is_none()).collect();
    let mut digests = references.iter().filter(|r| r.digest().is_some());
    let repository = match tags[..] {
        [] => references[0].name(),
        [one] => one.name(),
        _ => return false,
    };
    digests.all(|r| r.name() == repository)
}

fn short(id: &str) -> String {
    id.chars().take(12).collect()
}
