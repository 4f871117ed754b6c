"""What the doctor looks at on this host: one file a family of questions, asked by hand and by the conductors alike.

Nothing is changed. A question is declared in `common.doctor_questions`; what is common with a migration's checks is theirs
(`compute_agent.checks`).
"""
