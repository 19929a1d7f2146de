//! The table of changes: a project is up, one thing changes, and containers are made anew or stay.

use super::{Folder, after_up, anew, up};
use crate::command::Up;

/// The project that changes.
const FILE: &str = "
services:
  web:
    image: nginx:1
    command: [serve, '--fast']
    environment: {A: '1', TOKEN: '${TOKEN}'}
    env_file: [./web.env]
    ports: ['8080:80']
    volumes: [data:/data, './src:/src']
    networks: [front, back]
    configs: [held]
    secrets: [token]
    labels: {a: b}
    depends_on: [db]
    healthcheck: {test: test -e /x, interval: 10s}
    deploy: {replicas: 2}
  db:
    image: postgres
    networks: {back: {aliases: [database]}}
    restart: always
  guest:
    image: guest
    network_mode: 'service:db'
networks: {front: {}, back: {}}
volumes: {data: {}}
configs: {held: {file: ./held.txt}}
secrets: {token: {environment: TOKEN}}
";

#[test]
fn only_what_changes_a_container_makes_it_anew() {
    let rows = include_str!("changes.txt").lines();
    let rows: Vec<&str> = rows
        .filter(|row| !row.is_empty() && !row.starts_with('#'))
        .collect();
    assert!(rows.len() >= 80, "{}", rows.len());
    let folder = Folder::new();
    let before = folder.application(FILE, "held", &[("TOKEN", "one")]);
    let facts = after_up(&before);
    assert!(up(&before, &facts, &Up::default()).is_empty());
    let mut wrong = Vec::new();
    for row in rows {
        let parts: Vec<&str> = row.split(" => ").collect();
        let (from, to, wanted) = match parts[..] {
            [from, to, wanted] => (from, to, wanted),
            _ => panic!("{row}"),
        };
        let (mut file, mut held, mut token, mut facts) =
            (FILE.to_owned(), "held", "one", facts.clone());
        match from {
            "the file held.txt" => held = to,
            "the variable TOKEN" => token = to,
            "the image" => {
                let image = facts.images.get_mut(to).unwrap_or_else(|| panic!("{row}"));
                image.id = "another".to_owned();
            }
            "the network" => {
                let network = facts
                    .networks
                    .get_mut(to)
                    .unwrap_or_else(|| panic!("{row}"));
                network.id = "another".to_owned();
            }
            "the state of db" => {
                let db = facts
                    .observed
                    .containers
                    .iter_mut()
                    .find(|one| one.service == "db");
                db.unwrap().state = crate::State::parse(to);
            }
            "the id of db" => {
                let db = facts
                    .observed
                    .containers
                    .iter_mut()
                    .find(|one| one.service == "db");
                db.unwrap().id = to.to_owned();
            }
            from => {
                let (from, to) = (from.replace("\\n", "\n"), to.replace("\\n", "\n"));
                assert!(file.contains(&from), "{row}");
                file = file.replacen(&from, &to, 1);
            }
        }
        let after = folder.application(&file, held, &[("TOKEN", token)]);
        let plan = up(&after, &facts, &Up::default());
        let mut made = anew(&plan);
        made.dedup();
        let wanted: Vec<&str> = wanted.split(' ').filter(|word| *word != "-").collect();
        if made != wanted {
            wrong.push(format!("{row}: {made:?}"));
        }
        // Done once, it is done.
        let again = up(&after, &after_up(&after), &Up::default());
        assert!(again.is_empty(), "{row}\n{again}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
