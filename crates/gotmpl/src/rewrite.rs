//! From a parsed template to one that knows where it is.
//!
//! The template engine walks fields and calls functions without telling where an error happened, and prints maps and
//! structs alike. So before running, each printing action is piped through [`PRINT`], each walk along fields becomes a
//! call of [`GET`] with the number of its [`Site`], each call of a method one of [`METHOD`], and the last argument of each
//! function call passes through [`AT`] (or [`AT_PIPED`]), which notes the site whose function runs next.

use gotmpl::parse::{CommandNode, DefineNode, Expr, ListNode, Node, Number, PipeNode, Pos};

use crate::error::{Error, Result};
use crate::funcs::NAMES;

pub(crate) const PRINT: &str = "\u{1}print";
pub(crate) const GET: &str = "\u{1}get";
pub(crate) const METHOD: &str = "\u{1}method";
pub(crate) const AT: &str = "\u{1}at";
pub(crate) const AT_PIPED: &str = "\u{1}at-piped";

/// A place in the template that can fail.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// What Go prints between `<` and `>`.
    pub(crate) text: String,
    /// Byte offset in the source.
    pub(crate) offset: usize,
    /// The function called here, or nothing where fields are walked.
    pub(crate) function: Option<String>,
    /// The fields walked here.
    pub(crate) fields: Vec<String>,
}

/// Rewrites trees and collects their sites.
pub(crate) struct Rewriter<'a> {
    pub(crate) name: &'a str,
    pub(crate) sites: Vec<Site>,
    /// First names of all fields read from dot or `$`; `.` where the whole value is used.
    pub(crate) used: Vec<String>,
}

impl Rewriter<'_> {
    pub(crate) fn define(&mut self, define: DefineNode) -> Result<DefineNode> {
        Ok(DefineNode {
            body: self.list(define.body)?,
            ..define
        })
    }

    pub(crate) fn list(&mut self, list: ListNode) -> Result<ListNode> {
        let nodes = list
            .nodes
            .into_iter()
            .map(|node| self.node(node))
            .collect::<Result<_>>()?;
        Ok(ListNode {
            pos: list.pos,
            nodes,
        })
    }

    fn node(&mut self, node: Node) -> Result<Node> {
        Ok(match node {
            Node::List(list) => Node::List(self.list(list)?),
            Node::Action(mut action) => {
                let prints = action.pipe.decl.is_empty();
                action.pipe = self.pipe(action.pipe)?;
                if prints {
                    let pos = action.pos;
                    let args = vec![Expr::Identifier(pos, PRINT.into())];
                    action.pipe.commands.push(CommandNode { pos, args });
                }
                Node::Action(action)
            }
            Node::If(branch) => Node::If(self.branch(branch)?),
            Node::Range(branch) => Node::Range(self.branch(branch)?),
            Node::With(branch) => Node::With(self.branch(branch)?),
            Node::Template(mut template) => {
                template.pipe = template.pipe.map(|pipe| self.pipe(pipe)).transpose()?;
                Node::Template(template)
            }
            Node::Define(define) => Node::Define(self.define(define)?),
            other @ (Node::Text(_) | Node::Break(_) | Node::Continue(_)) => other,
        })
    }

    fn branch(
        &mut self,
        mut branch: gotmpl::parse::BranchNode,
    ) -> Result<gotmpl::parse::BranchNode> {
        branch.pipe = self.pipe(branch.pipe)?;
        branch.body = self.list(branch.body)?;
        branch.else_body = branch.else_body.map(|list| self.list(list)).transpose()?;
        Ok(branch)
    }

    fn pipe(&mut self, mut pipe: PipeNode) -> Result<PipeNode> {
        let mut commands = Vec::with_capacity(pipe.commands.len());
        for (index, command) in pipe.commands.into_iter().enumerate() {
            self.command(command, index > 0, &mut commands)?;
        }
        pipe.commands = commands;
        Ok(pipe)
    }

    /// Rewrites one command of a pipeline; `piped` when an earlier one feeds it.
    fn command(
        &mut self,
        command: CommandNode,
        piped: bool,
        out: &mut Vec<CommandNode>,
    ) -> Result<()> {
        let text = command_text(&command);
        let pos = command.pos;
        let mut args = command.args;
        let calls = args.len() > 1 || piped;
        match args.first() {
            Some(Expr::Identifier(at, name)) => {
                self.known(name, *at)?;
                let name = name.to_string();
                let site = self.site(text, at.offset, Some(name), Vec::new());
                let rest = args.split_off(1);
                let mut rest = rest
                    .into_iter()
                    .map(|arg| self.expr(arg))
                    .collect::<Result<Vec<_>>>()?;
                if let Some(last) = rest.pop() {
                    rest.push(call(pos, AT, vec![last, number(pos, site)]));
                } else if piped {
                    // Nothing to wrap but the piped value itself: pass it through on the way.
                    let args = vec![Expr::Identifier(pos, AT_PIPED.into()), number(pos, site)];
                    out.push(CommandNode { pos, args });
                }
                args.extend(rest);
            }
            Some(Expr::Field(at, fields)) if calls => {
                let mut fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
                if let Some(first) = fields.first() {
                    self.used.push(first.clone());
                }
                let offset = field_offset(at, &fields);
                let name = fields.pop().unwrap_or_default();
                let receiver = if fields.is_empty() {
                    Expr::Dot(*at)
                } else {
                    let site = self.site(text.clone(), offset, None, fields);
                    call(pos, GET, vec![Expr::Dot(*at), number(pos, site)])
                };
                let site = self.site(text, offset, Some(name.clone()), vec![name]);
                let rest = args.split_off(1);
                args = vec![
                    Expr::Identifier(pos, METHOD.into()),
                    receiver,
                    number(pos, site),
                ];
                for arg in rest {
                    args.push(self.expr(arg)?);
                }
            }
            _ => {
                args = args
                    .into_iter()
                    .map(|arg| self.expr(arg))
                    .collect::<Result<Vec<_>>>()?;
            }
        }
        out.push(CommandNode { pos, args });
        Ok(())
    }

    fn expr(&mut self, expr: Expr) -> Result<Expr> {
        let text = expr_text(&expr);
        Ok(match expr {
            Expr::Dot(pos) => {
                self.used.push(".".to_owned());
                Expr::Dot(pos)
            }
            Expr::Field(pos, fields) => {
                let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
                if let Some(first) = fields.first() {
                    self.used.push(first.clone());
                }
                self.walk(
                    text,
                    field_offset(&pos, &fields),
                    pos,
                    Expr::Dot(pos),
                    fields,
                )
            }
            Expr::Variable(pos, name, fields) if !fields.is_empty() => {
                let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
                self.used.extend(fields.first().cloned());
                let variable = Expr::Variable(pos, name.clone(), Vec::new());
                self.walk(text, pos.offset + name.len(), pos, variable, fields)
            }
            Expr::Variable(pos, name, fields) => {
                if name == "$" {
                    self.used.push(".".to_owned());
                }
                Expr::Variable(pos, name, fields)
            }
            Expr::Chain(pos, inner, fields) => {
                let fields = fields.iter().map(ToString::to_string).collect();
                let inner = self.expr(*inner)?;
                self.walk(text, pos.offset, pos, inner, fields)
            }
            Expr::Identifier(pos, name) => {
                self.known(&name, pos)?;
                Expr::Identifier(pos, name)
            }
            Expr::Pipe(pos, pipe) => Expr::Pipe(pos, self.pipe(pipe)?),
            other @ (Expr::String(..) | Expr::Number(..) | Expr::Bool(..) | Expr::Nil(_)) => other,
        })
    }

    fn walk(
        &mut self,
        text: String,
        offset: usize,
        pos: Pos,
        from: Expr,
        fields: Vec<String>,
    ) -> Expr {
        let site = self.site(text, offset, None, fields);
        call(pos, GET, vec![from, number(pos, site)])
    }

    fn site(
        &mut self,
        text: String,
        offset: usize,
        function: Option<String>,
        fields: Vec<String>,
    ) -> usize {
        self.sites.push(Site {
            text,
            offset,
            function,
            fields,
        });
        self.sites.len() - 1
    }

    fn known(&self, name: &str, pos: Pos) -> Result<()> {
        if NAMES.contains(&name) {
            return Ok(());
        }
        Err(Error::Parse {
            name: self.name.to_owned(),
            line: pos.line,
            message: format!("function {name:?} not defined"),
        })
    }
}

/// Go places a chain of fields at its second field.
fn field_offset(pos: &Pos, fields: &[String]) -> usize {
    match fields {
        [first, _, ..] => pos.offset + 1 + first.len(),
        _ => pos.offset,
    }
}

fn number(pos: Pos, site: usize) -> Expr {
    Expr::Number(pos, Number::Int(site as i64))
}

fn call(pos: Pos, function: &str, args: Vec<Expr>) -> Expr {
    let mut all = vec![Expr::Identifier(pos, function.into())];
    all.extend(args);
    let commands = vec![CommandNode { pos, args: all }];
    Expr::Pipe(
        pos,
        PipeNode {
            pos,
            decl: Vec::new(),
            commands,
            is_assign: false,
        },
    )
}

fn command_text(command: &CommandNode) -> String {
    command
        .args
        .iter()
        .map(|arg| match arg {
            Expr::Pipe(..) => format!("({})", expr_text(arg)),
            other => expr_text(other),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// The node as Go writes it back.
fn expr_text(expr: &Expr) -> String {
    let dotted = |fields: &[gotmpl::parse::SmolStr]| {
        fields
            .iter()
            .map(|field| format!(".{field}"))
            .collect::<String>()
    };
    match expr {
        Expr::Dot(_) => ".".to_owned(),
        Expr::Field(_, fields) => dotted(fields),
        Expr::Variable(_, name, fields) => format!("{name}{}", dotted(fields)),
        Expr::Identifier(_, name) => name.to_string(),
        Expr::String(_, text) => format!("{text:?}"),
        Expr::Number(_, Number::Int(n)) => n.to_string(),
        Expr::Number(_, Number::Uint(n)) => n.to_string(),
        Expr::Number(_, Number::Float(n)) => n.to_string(),
        Expr::Bool(_, b) => b.to_string(),
        Expr::Nil(_) => "nil".to_owned(),
        Expr::Pipe(_, pipe) => pipe
            .commands
            .iter()
            .map(command_text)
            .collect::<Vec<_>>()
            .join(" | "),
        Expr::Chain(_, inner, fields) => match inner.as_ref() {
            Expr::Pipe(..) => format!("({}){}", expr_text(inner), dotted(fields)),
            other => format!("{}{}", expr_text(other), dotted(fields)),
        },
    }
}
