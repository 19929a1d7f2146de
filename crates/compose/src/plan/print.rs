//! A plan, as people read it: one line for each operation, with its cause and what it waits for.

use std::fmt;

use super::{Act, Awaited, Operation, Plan};

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Pull { image, .. } => write!(f, "pull image {image}"),
            Act::Build { image, .. } => write!(f, "build image {image}"),
            Act::CreateNetwork { name, .. } => write!(f, "create network {name}"),
            Act::RemoveNetwork { name, .. } => write!(f, "remove network {name}"),
            Act::CreateVolume { name, .. } => write!(f, "create volume {name}"),
            Act::RemoveVolume { name } => write!(f, "remove volume {name}"),
            Act::Create { target, .. } => write!(f, "create container {}", target.name),
            Act::Recreate { target, .. } => write!(f, "recreate container {}", target.name),
            Act::Replace { target, .. } => write!(f, "replace container {}", target.name),
            Act::Rename { target } => write!(f, "name container {}", target.name),
            Act::MovePorts { from, to } => write!(f, "move ports of {} to {}", from.name, to.name),
            Act::Start { target } => write!(f, "start container {}", target.name),
            Act::Stop { target, .. } => write!(f, "stop container {}", target.name),
            Act::Restart { target, .. } => write!(f, "restart container {}", target.name),
            Act::Kill { target, signal } => write!(f, "send {signal} to container {}", target.name),
            Act::Pause { target } => write!(f, "pause container {}", target.name),
            Act::Unpause { target } => write!(f, "unpause container {}", target.name),
            Act::Remove { target, .. } => write!(f, "remove container {}", target.name),
            Act::RemoveImage { name } => write!(f, "remove image {name}"),
            Act::Await {
                service, condition, ..
            } => match condition {
                Awaited::Condition(condition) => {
                    write!(f, "wait for {service} ({})", condition.as_str())
                }
                Awaited::Ready => write!(f, "wait for {service}"),
            },
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.act, self.cause)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, operation) in self.operations.iter().enumerate() {
            write!(f, "{:>3}  {operation}", index + 1)?;
            let after = operation.after.iter();
            let after: Vec<String> = after
                .map(|after| (after.operation + 1).to_string())
                .collect();
            if !after.is_empty() {
                write!(f, " (after {})", after.join(", "))?;
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}
